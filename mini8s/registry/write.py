"""Creating and changing: the steps every kind goes through, in one order.

A change reads the row, makes the new object from it, and stores that if the row is still the one it read;
else it starts again with what is there now, unless the client said which version it means. What is wanted is
a function of the object as it is, so that update, patch, scale and binding are one road.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext

from mini8s.objects import meta, names, schema
from mini8s.objects.errors import AlreadyExists, ApiError, BadRequest, Cause
from mini8s.objects.kinds import PODS, RESOURCEQUOTAS, Kind, Obj
from mini8s.registry import incoming, managing, metadata, problems, refusals, warnings
from mini8s.registry.admission import Attempt, Turns, admit, counts
from mini8s.registry.base import Context
from mini8s.registry.commit import Committer, until_stored
from mini8s.registry.read import Reader
from mini8s.registry.rules import metadata as metadata_rules
from mini8s.registry.strategy import Strategy, Update
from mini8s.store.base import Mismatch, Row
from mini8s.wire.codec import decode_json

Desire = Callable[[Obj], Obj]  # the object as it is -> as the client wants it
_GENERATE_TRIES = 8
_APPLY_TRIES = 8


class Writer:
    def __init__(
        self,
        reader: Reader,
        strategies: Mapping[Kind, Strategy],
        committer: Committer,
        *,
        new_uid: Callable[[], str],
        new_suffix: Callable[[], str],
    ) -> None:
        self._reader = reader
        self._strategies = strategies
        self._committer = committer
        self._new_uid = new_uid
        self._new_suffix = new_suffix
        self._turns = Turns(lambda namespace: reader.any(RESOURCEQUOTAS, namespace))

    def create(self, ctx: Context, kind: Kind, namespace: str, obj: Obj) -> bytes:
        """Raises AlreadyExists; a generated name that is taken is tried again with another suffix."""
        for _ in range(_GENERATE_TRIES):
            new = incoming.parse(ctx, kind, obj)
            prefix = new["metadata"].get("generateName")
            if meta.name(new) or not prefix:
                return self._create(ctx, kind, namespace, new)
            new["metadata"]["name"] = names.generate(prefix, self._new_suffix)
            try:
                return self._create(ctx, kind, namespace, new)
            except AlreadyExists as error:
                taken = error
        raise refusals.not_unique(kind, taken.name) from taken

    def update(
        self, ctx: Context, kind: Kind, namespace: str, name: str, obj: Obj, subresource: str = ""
    ) -> tuple[bytes, bool]:
        """The object's bytes, and whether it was created: some kinds can be put where nothing is."""
        may_create = self._strategies[kind].create_on_update and not subresource
        if may_create and not self._reader.exists(kind, namespace, name):
            return self._create_by_put(ctx, kind, namespace, name, obj), True
        return self.change(ctx, kind, namespace, name, lambda _: obj, subresource), False

    def change(
        self,
        ctx: Context,
        kind: Kind,
        namespace: str,
        name: str,
        desire: Desire,
        subresource: str = "",
        *,
        way: Update | None = None,
        note: managing.Note = managing.updated,
    ) -> bytes:
        """Make the object what `desire` says, and give its bytes; `note` keeps the books. Raises NotFound,
        Conflict, Invalid."""
        strategy = self._strategies[kind]
        chosen = way or (strategy.subresources[subresource] if subresource else strategy.update)

        def attempt() -> bytes:
            with self._turns.of(namespace) if counts(kind, subresource) else nullcontext():
                row = self._reader.row(kind, namespace, name)
                return self._change(ctx, strategy, row, desire, chosen, subresource, note)

        return until_stored(kind, name, attempt)

    def apply(
        self, ctx: Context, kind: Kind, namespace: str, name: str, desire: Desire
    ) -> tuple[bytes, bool]:
        """Server-side apply: change the object, or create it of nothing ({}); which of both it was.
        Raises ApplyConflict too."""
        for _ in range(_APPLY_TRIES):
            if self._reader.exists(kind, namespace, name):
                return self.change(ctx, kind, namespace, name, desire, note=managing.left), False
            try:
                new = desire({})
                return self._create_by_put(ctx, kind, namespace, name, new, note=managing.left), True
            except AlreadyExists:  # it came while we looked
                continue
        raise refusals.conflict(kind, name)

    def _create_by_put(
        self,
        ctx: Context,
        kind: Kind,
        namespace: str,
        name: str,
        obj: Obj,
        *,
        note: managing.Note = managing.updated,
    ) -> bytes:
        ctx.check_create()
        new = incoming.parse(ctx, kind, obj)
        incoming.check_place(kind, namespace, name, new)
        if new["metadata"].get("resourceVersion"):
            raise refusals.not_found(kind, name)
        check_uid(kind, name, meta.uid(new), {})
        return self._create(ctx, kind, namespace, new, note)

    def _create(
        self, ctx: Context, kind: Kind, namespace: str, new: Obj, note: managing.Note = managing.updated
    ) -> bytes:
        strategy = self._strategies[kind]
        incoming.check_namespace(kind, namespace, new)
        if new["metadata"].get("resourceVersion"):
            raise BadRequest("resourceVersion should not be set on objects to be created")
        metadata.begin(new, strategy, namespace, self._new_uid(), ctx.now)
        note(ctx, kind, new, None, "")
        with self._turns.of(namespace):
            admit(Attempt("CREATE", ctx, kind, namespace, meta.name(new), new, self._reader))
            strategy.prepare_for_create(new)
            spoken = self._spoken(ctx, kind)
            _refuse(
                kind,
                new,
                metadata_rules.check(new, strategy.name_rule),
                strategy.validate(new),
                strategy.validate_new(new),
                spoken.validate_new(new) if spoken else (),
            )
            ctx.warnings.extend(warnings.of_new(kind, new))
            try:
                return self._committer.put(ctx, strategy, new, expected=0, allocate=True)
            except Mismatch as error:
                raise _exists(kind, meta.name(new), error.current) from error

    def _change(
        self,
        ctx: Context,
        strategy: Strategy,
        row: Row,
        desire: Desire,
        way: Update,
        subresource: str,
        note: managing.Note,
    ) -> bytes:
        old = decode_json(row.value)
        if way.made_here:
            said = desire(old)
        else:
            said = desire(decode_json(row.value))
            # where a part's defaults come from another part, the whole must be looked at
            stored = row.value if subresource or schema.parts_stand_alone(strategy.kind) else b""
            said = incoming.parse(ctx, strategy.kind, said, stored=stored)
        new = self._wanted(strategy, said, old, subresource)
        self._prepare(ctx, strategy, way, new, old, subresource)
        note(ctx, strategy.kind, new, old, subresource)
        if metadata.ready_to_go(new, old, strategy):
            return self._committer.delete(ctx, strategy, new, expected=row.revision)
        if managing.same(new, old):
            return row.value
        return self._committer.put(ctx, strategy, new, expected=row.revision, allocate=not subresource)

    def _wanted(self, strategy: Strategy, new: Obj, old: Obj, subresource: str) -> Obj:
        """What the client sent, if it speaks of the object that is there."""
        kind, name = strategy.kind, meta.name(old)
        incoming.check_place(kind, meta.namespace(old), name, new)
        version = new["metadata"].get("resourceVersion") or ""
        if version and version != old["metadata"]["resourceVersion"]:
            raise refusals.conflict(kind, name)
        if not version and not subresource and not strategy.unconditional_update:
            cause = problems.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise refusals.invalid(kind, name, [cause])
        check_uid(kind, name, meta.uid(new), old)
        return new

    def _prepare(
        self, ctx: Context, strategy: Strategy, way: Update, new: Obj, old: Obj, subresource: str
    ) -> None:
        kind, name, namespace = strategy.kind, meta.name(old), meta.namespace(old)
        metadata.carry(new, old)
        admit(Attempt("UPDATE", ctx, kind, namespace, name, new, self._reader, subresource, old))
        way.prepare(new, old)
        metadata.count_generation(new, old, strategy)
        whole = () if subresource else strategy.validate(new)
        spoken = self._spoken(ctx, kind)
        _refuse(
            kind,
            new,
            metadata_rules.check(new, strategy.name_rule),
            metadata_rules.check_update(new, old),
            whole,
            way.validate(new, old),
            spoken.update.validate(new, old) if spoken else (),
        )
        if kind is not PODS and meta.generation(new) != meta.generation(old):  # people do not change pods
            ctx.warnings.extend(warnings.of_changed(kind, new))

    def _spoken(self, ctx: Context, kind: Kind) -> Strategy | None:
        """The strategy of the further version that the client speaks of this kind, if it does."""
        version = ctx.version
        return self._strategies[version] if version is not None and version.storage is kind else None


def check_uid(kind: Kind, name: str, uid: str, old: Obj) -> None:
    """Whoever says a uid means that very object, not another of its name."""
    if uid and uid != meta.uid(old):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta.uid(old)}"
        raise refusals.conflict(kind, name, why)


def _refuse(kind: Kind, obj: Obj, *rules: Iterable[Cause]) -> None:
    if causes := [cause for rule in rules for cause in rule]:
        raise refusals.invalid(kind, meta.name(obj), causes)


def _exists(kind: Kind, name: str, row: Row | None) -> ApiError:
    deleting = row is not None and meta.deleting(decode_json(row.value))
    return refusals.already_exists(kind, name, deleting=deleting)
