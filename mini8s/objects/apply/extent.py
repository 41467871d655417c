"""Which fields an object has, and in which two objects differ, as sets.

How deep a path goes is its type's to say: an atomic map or list is one field. A set of what somebody applied
(`stated`) has the leaves, the elements of lists and the entries of maps; a set of what appeared or went
(`Difference`) has what contains them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mini8s.objects.apply.elements import identity, index
from mini8s.objects.apply.sets import HERE, LEAF, Tree, union, with_self
from mini8s.objects.schema.types import ANY_FIELD, Field, Grain

# Structs that Go's types contain, not point at: to upstream they are always there, so nobody brings them.
_ALWAYS_THERE = frozenset(
    {"metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate", "containers"}
)


@dataclass(slots=True)
class Difference:
    """Of a new object to an old one."""

    added: Tree
    modified: Tree
    removed: Tree

    @property
    def taken(self) -> Tree:
        """What whoever made the difference has said the value of."""
        return union(self.added, self.modified)

    @property
    def touched(self) -> Tree:
        return union(self.taken, self.removed)


def stated(field: Field, value: Any) -> Tree:
    """The fields that an applied configuration speaks of."""
    return _extent(field, value, False) or {}


def compare(field: Field, old: Any, new: Any) -> Difference:
    """Both of one type; null is nothing."""
    found = Difference({}, {}, {})
    if old != new:
        found.added, found.modified, found.removed = (node or {} for node in _differ(field, old, new))
    return found


_Nodes = tuple[Tree | None, Tree | None, Tree | None]  # added, modified, removed
_MODIFIED: _Nodes = (None, LEAF, None)


def _extent(field: Field, value: Any, everything: bool) -> Tree | None:
    """None: no field at all. `everything`: with what contains fields."""
    grain = field.grain
    if grain is Grain.WHOLE:
        return LEAF
    if grain is Grain.FIELDS or grain is Grain.ENTRIES or (grain is Grain.OPEN and isinstance(value, dict)):
        if not value:
            return LEAF
        return _of_map(field, value, everything)
    if grain is Grain.OPEN:
        return LEAF
    if not value:
        return LEAF if everything or value is None else None
    return _of_list(field, value, everything)


def _of_map(field: Field, value: dict[str, Any], everything: bool) -> Tree | None:
    made: Tree = {HERE: LEAF} if everything else {}
    fields = field.schema.fields
    for name, item in value.items():
        known = fields.get(name)
        if known is None:
            node = _extent(field.schema.field(name), item, everything)
            made["f:" + name] = LEAF if not node else with_self(node)
        elif known.grain is Grain.WHOLE:
            made["f:" + name] = LEAF
        elif (node := _extent(known, item, everything)) is not None:
            made["f:" + name] = node
    return made or None


def _of_list(field: Field, items: list[Any], everything: bool) -> Tree:
    made: Tree = {HERE: LEAF} if everything else {}
    named = identity(field)
    if field.grain is Grain.VALUES:
        made |= {named(item): LEAF for item in items}
        return made
    element = field.schema.items or ANY_FIELD
    for item in items:
        node = _extent(element, item, everything)
        made[named(item)] = LEAF if not node else with_self(node)
    return made


def _differ(field: Field, old: Any, new: Any) -> _Nodes:
    """Where two values that are not equal differ."""
    grain = field.grain
    if grain is Grain.WHOLE or not (old or new) or type(old) is not type(new):
        return _MODIFIED
    if grain is Grain.KEYED or grain is Grain.VALUES:
        return _differ_lists(field, old, new)
    return _differ_maps(field, old, new) if isinstance(old, dict) else _MODIFIED


def _differ_maps(field: Field, old: dict[str, Any], new: dict[str, Any]) -> _Nodes:
    parts = _Parts()
    for name, value in new.items():
        before = old.get(name)
        if before == value:
            continue
        below = field.schema.field(name)
        if value is None:
            parts.removed["f:" + name] = _extent(below, before, True) or LEAF
        elif before is not None:
            parts.take("f:" + name, _differ(below, before, value))
        elif name in _ALWAYS_THERE and value and type(value) in {dict, list}:
            parts.take("f:" + name, _differ(below, type(value)(), value))
        else:
            parts.added["f:" + name] = _extent(below, value, True) or LEAF
    for name, value in old.items():
        if name not in new:
            parts.removed["f:" + name] = _extent(field.schema.field(name), value, True) or LEAF
    return parts.nodes


def _differ_lists(field: Field, old: list[Any], new: list[Any]) -> _Nodes:
    parts = _Parts()
    before, after = index(field, old), index(field, new)
    element = field.schema.items or ANY_FIELD
    for step, items in after.items():
        was = before.get(step)
        if was == items:
            continue
        if was is None:
            parts.added[step] = with_self(_extent(element, items[0], True) or LEAF)
        elif len(was) == len(items) == 1:
            parts.take(step, _differ(element, was[0], items[0]))
        else:
            parts.modified[step] = LEAF
    for step, items in before.items():
        if step not in after:
            parts.removed[step] = with_self(_extent(element, items[0], True) or LEAF)
    return parts.nodes


class _Parts:
    """The three sets below one container, as they come together."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.added: Tree = {}
        self.modified: Tree = {}
        self.removed: Tree = {}

    def take(self, step: str, nodes: _Nodes) -> None:
        for into, node in zip((self.added, self.modified, self.removed), nodes, strict=True):
            if node is not None:
                into[step] = node

    @property
    def nodes(self) -> _Nodes:
        return self.added or None, self.modified or None, self.removed or None
