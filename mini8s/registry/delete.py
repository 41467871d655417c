"""Deleting: at once, after a grace period, or when the last finalizer is gone (`rest.BeforeDelete`).

What an object waits for is written in it: `deletionTimestamp`, the grace of whoever runs it, finalizers. Who
dependents belong to is the garbage collector's matter; here only its finalizers are set.
"""

from __future__ import annotations

from collections.abc import Mapping

from mini8s.objects import meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry import metadata, refusals
from mini8s.registry.admission import Attempt, admit
from mini8s.registry.base import Context, DeleteOptions, Listed, ListOptions
from mini8s.registry.commit import Committer, until_stored
from mini8s.registry.read import Reader
from mini8s.registry.strategy import Strategy
from mini8s.registry.write import check_uid
from mini8s.store.base import Row
from mini8s.wire.codec import decode_json

FINALIZERS = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}


class Deleter:
    def __init__(self, reader: Reader, strategies: Mapping[Kind, Strategy], committer: Committer) -> None:
        self._strategies = strategies
        self._reader = reader
        self._committer = committer

    def delete(
        self, ctx: Context, kind: Kind, namespace: str, name: str, options: DeleteOptions
    ) -> tuple[bytes, bool]:
        """The object as it is now or was last, and whether it is gone."""

        def attempt() -> tuple[bytes, bool]:
            row = self._reader.row(kind, namespace, name)
            return self._delete(ctx, self._strategies[kind], row, options)

        return until_stored(kind, name, attempt)

    def collection(
        self, ctx: Context, kind: Kind, namespace: str, selection: ListOptions, options: DeleteOptions
    ) -> Listed:
        listed = self._reader.list(kind, namespace, selection)
        gone: list[bytes] = []
        for value in listed.items:
            obj = decode_json(value)
            try:
                gone.append(self.delete(ctx, kind.stored, meta.namespace(obj), meta.name(obj), options)[0])
            except NotFound:  # somebody else was faster, which is what we want
                continue
        return Listed(gone, listed.revision, listed.continue_token, listed.remaining)

    def _delete(
        self, ctx: Context, strategy: Strategy, row: Row, options: DeleteOptions
    ) -> tuple[bytes, bool]:
        kind, obj, old = strategy.kind, decode_json(row.value), decode_json(row.value)
        name, namespace = meta.name(obj), meta.namespace(obj)
        check_preconditions(kind, obj, options)
        admit(Attempt("DELETE", ctx, kind, namespace, name, obj, self._reader))
        pending = _begin(strategy, obj, options, ctx)
        if pending or meta.finalizers(obj) or not strategy.finished(obj):
            if obj == old:
                return row.value, False
            return self._committer.put(ctx, strategy, obj, expected=row.revision, allocate=False), False
        return self._committer.delete(ctx, strategy, obj, expected=row.revision), True


def _begin(strategy: Strategy, obj: Obj, options: DeleteOptions, ctx: Context) -> bool:
    """Mark the object as the options ask; whether whoever runs it has time left."""
    _set_collector_finalizer(obj, options.propagation or _unsaid(strategy, obj))
    if strategy.grace is None:
        if meta.finalizers(obj) or not strategy.finished(obj):
            ungraceful = 0 if strategy.finished(obj) else None
            metadata.begin_deletion(obj, ctx.now, ungraceful)
            strategy.begin_deletion(obj)
        return False
    given = strategy.grace(obj, options.grace_seconds)
    left = obj["metadata"].get("deletionGracePeriodSeconds")
    if not meta.deleting(obj):
        metadata.begin_deletion(obj, ctx.now, given)
        return given > 0
    if left is not None and options.grace_seconds is not None and given < left:
        metadata.shorten_grace(obj, given)
        return given > 0
    return bool(left)


def _unsaid(strategy: Strategy, obj: Obj) -> str:
    """The propagation that nobody stated: what an earlier deletion, or whoever set the finalizer, asked for,
    else the kind's own."""
    for propagation, finalizer in FINALIZERS.items():
        if finalizer in meta.finalizers(obj):
            return propagation
    return "Orphan" if strategy.orphans else "Background"


def _set_collector_finalizer(obj: Obj, propagation: str) -> None:
    """What the garbage collector must do first; a later deletion may ask for something else."""
    found = meta.finalizers(obj)
    wanted = [item for item in found if item not in FINALIZERS.values()]
    if propagation in FINALIZERS:
        wanted.append(FINALIZERS[propagation])
    if sorted(wanted) != sorted(found):
        obj["metadata"]["finalizers"] = wanted


def check_preconditions(kind: Kind, obj: Obj, options: DeleteOptions) -> None:
    """Raises Conflict when the object is not the one that is meant."""
    check_uid(kind, meta.name(obj), options.uid, obj)
    version = obj["metadata"]["resourceVersion"]
    if options.resource_version and options.resource_version != version:
        why = (
            f"Precondition failed: ResourceVersion in precondition: {options.resource_version}, "
            f"ResourceVersion in object meta: {version}"
        )
        raise refusals.conflict(kind, meta.name(obj), why)
