"""What applying and updating do to an object and to those who manage its fields.

Upstream's rules (structured-merge-diff's Updater and the field manager of the API server): whoever updates a
field has it from then on, and those who had it have lost it; whoever applies has what he states, together
with others as long as they say the same, and gets his way against others only by force.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mini8s.objects.apply.books import UPDATE, Entry, Manager, Managers
from mini8s.objects.apply.conflicts import ApplyConflict, Claim
from mini8s.objects.apply.extent import Difference, compare, stated
from mini8s.objects.apply.merge import merge, prune
from mini8s.objects.apply.sets import Tree, difference, intersection, union
from mini8s.objects.kinds import Obj
from mini8s.objects.schema.types import Field

MAX_UPDATERS = 10
ANCIENT = "ancient-changes"  # who has the fields of the oldest updaters when there are too many
BEFORE_APPLY = "before-first-apply"  # who has what an object was when nobody had kept books

# Nobody manages these: they are the server's, or say which object it is.
_STRIPPED = frozenset({"kind", "apiVersion", "metadata"})
_STRIPPED_METADATA = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "selfLink", "managedFields"}
    | {"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"}
)
# Every configuration says this, which keeps it when all else that somebody had said of the metadata goes.
_IDENTITY: Tree = {"f:metadata": {"f:name": {}}}


@dataclass(frozen=True, slots=True)
class Writing:
    """One change: of a kind of object, by whom, when. `hidden` are the parts that this way of changing it
    has no say in: the status, or all but the status."""

    field: Field
    by: Manager
    now: str
    hidden: frozenset[str] = frozenset()

    def view(self, obj: Obj) -> Obj:
        """What of an object somebody can manage."""
        seen = {part: obj[part] for part in obj if part not in _STRIPPED and part not in self.hidden}
        metadata = obj.get("metadata") or {}
        if kept := {part: metadata[part] for part in metadata if part not in _STRIPPED_METADATA}:
            seen["metadata"] = kept
        return seen

    def compare(self, old: Obj, new: Obj) -> Difference:
        return compare(self.field, self.view(old), self.view(new))


def update(writing: Writing, old: Obj, new: Obj, managers: Managers) -> Managers:
    """The managers after somebody has made `new` of `old`."""
    found = writing.compare(old, new)
    if not found.touched:
        return managers
    by, taken = writing.by, found.taken
    mine = managers.get(by.key)
    kept = _left_to_others(managers, found, by)
    has = union(difference(mine.fields, found.removed) if mine else {}, taken)
    if has:
        kept[by.key] = Entry(by, has, writing.now if taken or mine is None else mine.time)
    return _capped(kept)


def apply(
    writing: Writing, live: Obj, config: Obj, managers: Managers, *, force: bool
) -> tuple[Obj, Managers]:
    """The merged object and its managers. Raises ApplyConflict."""
    by, field = writing.by, writing.field
    if live and not managers:
        before = replace(by, name=BEFORE_APPLY, operation=UPDATE)
        managers = update(replace(writing, by=before), {}, live, {})
    mine, states = managers.get(by.key), stated(field, writing.view(config))
    owned = union(states, _IDENTITY)
    for entry in managers.values():
        if entry is not mine:
            owned = union(owned, entry.fields)
    merged = prune(field, merge(field, live, config), owned, mine.fields if mine else {}) or {}
    found = writing.compare(live, merged)
    claims = _claims(managers, found.taken, by)
    if claims and not force:
        raise ApplyConflict(claims)
    kept = _left_to_others(managers, found, by)
    if states:
        same = mine is not None and mine.fields == states and not found.touched
        kept[by.key] = mine if same and mine is not None else Entry(by, states, writing.now)
    return merged, kept


def _claims(managers: Managers, taken: Tree, by: Manager) -> list[Claim]:
    if not taken:
        return []
    others = [entry for key, entry in managers.items() if key != by.key]
    found = [Claim(entry, intersection(entry.fields, taken)) for entry in others]
    return [claim for claim in found if claim.fields]


def _left_to_others(
    managers: Managers, found: Difference, by: Manager
) -> dict[tuple[str, str, str, str], Entry]:
    """All but `by`, without what has been taken from them or is gone."""
    lost = found.touched
    kept = {
        key: replace(entry, fields=difference(entry.fields, lost)) if lost else entry
        for key, entry in managers.items()
        if key != by.key
    }
    return {key: entry for key, entry in kept.items() if entry.fields}


def _capped(managers: dict[tuple[str, str, str, str], Entry]) -> Managers:
    """At most so many updaters: the oldest become one."""
    updaters = [entry for entry in managers.values() if entry.manager.operation == UPDATE]
    updaters.sort(key=lambda entry: (entry.time, entry.manager.name))
    while len(updaters) > MAX_UPDATERS:
        one, other, *updaters = updaters
        del managers[one.manager.key], managers[other.manager.key]
        by = Manager(ANCIENT, UPDATE, other.manager.api_version)
        merged = Entry(by, union(one.fields, other.fields), other.time)
        managers[by.key] = merged
        updaters.insert(0, merged)
    return managers
