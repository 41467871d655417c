"""Dependents follow their owners: in the background, before them (foreground), or not at all (orphan).

Caches of every kind's metadata are the graph; an index says who depends on whom. Before anything is deleted
for want of an owner the server itself is asked, because a cache may be behind. Owners of kinds that are not
served here count as present: what cannot be known must not be deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from mini8s.controllers.actions import NOTHING, WARNING, Action, Delete, Patch, Plan, Tell, patch
from mini8s.controllers.base import Context, Source
from mini8s.objects import kinds, meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import EVENTS, STORED, Kind, Obj

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
COLLECTED: tuple[Kind, ...] = tuple(
    kind for kind in STORED if kind is not EVENTS
)  # too many, and never owned
REMEMBERED = 1000  # owners known to be gone, so that not every dependent asks


class State(Enum):
    """Of an owner: it is there; it is gone; it waits for this dependent to go before it goes itself."""

    SOLID = "solid"
    ABSENT = "absent"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Dependent:
    kind: Kind
    obj: Obj


@dataclass(frozen=True, slots=True)
class Facts:
    """`owners`: the state of each owner reference, in order; `dependents`: who names this one as an owner;
    `foreign`: references to what lives in another namespace, where owners don't count."""

    kind: Kind
    obj: Obj
    owners: Sequence[State]
    dependents: Sequence[Dependent]
    foreign: Sequence[Obj] = ()


def by_owner(obj: Obj) -> Iterable[str]:
    return [ref["uid"] for ref in meta.owners(obj)]


class GarbageCollector:
    name = "garbage"

    def __init__(self, context: Context) -> None:
        self._api = context.api
        self._caches = {kind: context.metadata(kind, {"owner": by_owner}) for kind in COLLECTED}
        self._gone: dict[str, None] = {}  # uids, the oldest first
        self.sources = tuple(Source(kind, self._changed(kind), metadata_only=True) for kind in COLLECTED)

    def plan(self, key: str) -> Plan:
        resource, namespace, name = key.split("/")
        kind = next(kind for kind in COLLECTED if kind.resource == resource)
        obj = self._caches[kind].get(namespace, name)
        if obj is None:
            return NOTHING
        states = [] if meta.deleting(obj) else [self._state(ref, kind, namespace) for ref in meta.owners(obj)]
        known = zip(meta.owners(obj), states, strict=False)
        foreign = [ref for ref, state in known if self._foreign(kind, ref, state)]
        return plan(Facts(kind, obj, states, list(self._dependents(meta.uid(obj))), foreign))

    def _foreign(self, dependent: Kind, ref: Obj, state: State) -> bool:
        kind = _owner_kind(ref)
        if kind is None or kind not in self._caches or not kind.namespaced:
            return False
        if not dependent.namespaced:
            return True
        return state is State.ABSENT and any(meta.uid(one) == ref["uid"] for one in self._caches[kind].list())

    def _changed(self, kind: Kind) -> Callable[[Obj | None, Obj | None], Iterable[str]]:
        def changed(old: Obj | None, new: Obj | None) -> Iterable[str]:
            if new is None:
                return self._around(old) if old is not None else ()
            if old is not None and _relevant(old) == _relevant(new):
                return ()
            keys = {_key(kind, new)} if meta.owners(new) or meta.deleting(new) else set()
            if old is not None and meta.owners(old) != meta.owners(new):
                keys |= {*self._keys_of_owners(old)}  # one that waited may be held up no longer
            return keys | ({*self._keys_of_dependents(new)} if _waits(new) else set())

        return changed

    def _around(self, gone: Obj) -> Iterable[str]:
        """Who depended on what is gone, and who waited for it to go."""
        yield from self._keys_of_dependents(gone)
        yield from self._keys_of_owners(gone)

    def _keys_of_owners(self, dependent: Obj) -> Iterable[str]:
        for ref in meta.owners(dependent):
            kind = _owner_kind(ref)
            if kind in self._caches:
                yield f"{kind.resource}/{meta.namespace(dependent) if kind.namespaced else ''}/{ref['name']}"

    def _keys_of_dependents(self, owner: Obj) -> Iterable[str]:
        return [_key(found.kind, found.obj) for found in self._dependents(meta.uid(owner))]

    def _dependents(self, uid: str) -> Iterable[Dependent]:
        for kind, cache in self._caches.items():
            for obj in cache.index("owner", uid):
                yield Dependent(kind, obj)

    def _state(self, ref: Obj, dependent: Kind, namespace: str) -> State:
        kind = _owner_kind(ref)
        if kind is None or kind not in self._caches or (kind.namespaced and not dependent.namespaced):
            return State.SOLID
        if ref["uid"] in self._gone:
            return State.ABSENT
        space = namespace if kind.namespaced else ""
        owner = self._caches[kind].get(space, ref["name"])
        if owner is None or meta.uid(owner) != ref["uid"]:
            owner = self._ask(kind, space, ref)
        if owner is None:
            return State.ABSENT
        return State.WAITING if _waits(owner) and ref.get("blockOwnerDeletion") else State.SOLID

    def _ask(self, kind: Kind, namespace: str, ref: Obj) -> Obj | None:
        try:
            owner = self._api.get(kind, namespace, ref["name"])
        except NotFound:
            owner = {}
        if meta.uid(owner) == ref["uid"]:
            return owner
        self._gone[ref["uid"]] = None
        if len(self._gone) > REMEMBERED:
            del self._gone[next(iter(self._gone))]
        return None


def plan(facts: Facts) -> Plan:
    finalizers = meta.finalizers(facts.obj)
    if meta.deleting(facts.obj):
        if ORPHAN in finalizers:
            return Plan((*_orphaned(facts), _without(facts, ORPHAN)))
        blocked = any(_blocks(found.obj, facts.obj) for found in facts.dependents)
        return NOTHING if FOREGROUND not in finalizers or blocked else Plan((_without(facts, FOREGROUND),))
    told = tuple(_told(facts, ref) for ref in facts.foreign)
    if not facts.owners or all(state is State.SOLID for state in facts.owners):
        return Plan(told) if told else NOTHING
    if State.SOLID in facts.owners:
        pairs = zip(meta.owners(facts.obj), facts.owners, strict=True)
        return Plan(
            (_owned_by(facts.kind, facts.obj, [ref for ref, state in pairs if state is State.SOLID]),)
        )
    if State.WAITING in facts.owners and any(_waits(found.obj) for found in facts.dependents):
        unblocked = [ref | {"blockOwnerDeletion": False} for ref in meta.owners(facts.obj)]
        return Plan((_owned_by(facts.kind, facts.obj, unblocked),))  # a circle: each waits for the next
    return Plan((*told, _deleted(facts, finalizers)))


def _told(facts: Facts, ref: Obj) -> Tell:
    space = meta.namespace(facts.obj)
    owner = f"{ref['apiVersion']}/{ref['kind']}, namespace: {space}, name: {ref['name']}, uid: {ref['uid']}"
    what = f'ownerRef [{owner}] does not exist in namespace "{space}"'
    return Tell(facts.obj, WARNING, "OwnerRefInvalidNamespace", what)


def _deleted(facts: Facts, finalizers: Sequence[str]) -> Delete:
    """In the way that the object's own finalizers ask for; for an owner that waits, its dependents first."""
    propagation = "Background"
    if ORPHAN in finalizers:
        propagation = "Orphan"
    elif FOREGROUND in finalizers or (State.WAITING in facts.owners and facts.dependents):
        propagation = "Foreground"
    obj = facts.obj
    return Delete(
        facts.kind,
        meta.namespace(obj),
        meta.name(obj),
        meta.uid(obj),
        version=obj["metadata"]["resourceVersion"],  # it may have got another owner meanwhile
        propagation=propagation,
    )


def _owner_kind(ref: Mapping[str, str]) -> Kind | None:
    """Whichever of its versions an owner is named by, it is one object."""
    kind = kinds.by_kind(ref["apiVersion"], ref["kind"])
    return kind.stored if kind else None


def _orphaned(facts: Facts) -> Iterable[Action]:
    uid = meta.uid(facts.obj)
    for found in facts.dependents:
        yield _owned_by(found.kind, found.obj, [ref for ref in meta.owners(found.obj) if ref["uid"] != uid])


def _owned_by(kind: Kind, obj: Obj, refs: Sequence[Mapping[str, object]]) -> Patch:
    return patch(kind, obj, {"metadata": {"ownerReferences": list(refs) or None}}, swap=True)


def _without(facts: Facts, finalizer: str) -> Patch:
    left = [item for item in meta.finalizers(facts.obj) if item != finalizer]
    return patch(facts.kind, facts.obj, {"metadata": {"finalizers": left or None}}, swap=True)


def _blocks(dependent: Obj, owner: Obj) -> bool:
    """One that names itself is not waited for."""
    uid = meta.uid(owner)
    if meta.uid(dependent) == uid:
        return False
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in meta.owners(dependent))


def _waits(obj: Obj) -> bool:
    return meta.deleting(obj) and FOREGROUND in meta.finalizers(obj)


def _relevant(obj: Obj) -> tuple[object, ...]:
    return meta.owners(obj), meta.deleting(obj), meta.finalizers(obj)


def _key(kind: Kind, obj: Obj) -> str:
    return f"{kind.resource}/{meta.namespace(obj)}/{meta.name(obj)}"
