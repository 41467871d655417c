"""An applied configuration merged into the object that is there, and fields taken out of an object again."""

from __future__ import annotations

from typing import Any

from mini8s.objects.apply.elements import identity
from mini8s.objects.apply.extent import stated
from mini8s.objects.apply.sets import (
    Tree,
    child,
    difference,
    intersection,
    is_member,
    union,
    with_named,
)
from mini8s.objects.schema.types import ANY_FIELD, Field, Grain


def merge(field: Field, live: Any, config: Any) -> Any:
    """What `config` says, and of `live` what it does not speak of."""
    grain = field.grain
    if grain is Grain.WHOLE or type(live) is not type(config) or not (live and config):
        return live if _silent(grain, live, config) else config
    if grain is Grain.KEYED or grain is Grain.VALUES:
        return _merge_lists(field, live, config)
    if not isinstance(config, dict):
        return config
    merged = dict(live)
    for name, value in config.items():
        merged[name] = merge(field.schema.field(name), live[name], value) if name in live else value
    return merged


def remove(field: Field, value: Any, gone: Tree) -> Any:
    """The value without the paths of `gone` and all that is below them; None when nothing is left."""
    if not value or field.grain is Grain.WHOLE:
        return value or None
    if field.grain is Grain.KEYED or field.grain is Grain.VALUES:
        named = identity(field)
        left = [(step, item) for item in value if not _goes(gone, step := named(item))]
        return [_thinned(field, step, item, gone) for step, item in left] or None
    if not isinstance(value, dict):
        return value
    return {
        name: _thinned(field, f"f:{name}", item, gone)
        for name, item in value.items()
        if not _goes(gone, f"f:{name}")
    } or None


def prune(field: Field, merged: Any, owned: Tree, last: Tree) -> Any:
    """`merged` without what its applier had in `last`, unless somebody (himself too) has it in `owned`.

    In upstream's three steps: take it all out; put back what is owned, which may lie below what was taken
    out; put back what was taken out only because it lies below, and was not his.
    """
    if not difference(last, owned):
        return merged
    before, had = with_named(stated(field, merged), field), with_named(last, field)
    pruned = with_named(stated(field, remove(field, merged, had)), field)
    pruned = union(pruned, with_named(owned, field))
    left = stated(field, remove(field, merged, difference(before, pruned)))
    return remove(field, merged, intersection(difference(before, with_named(left, field)), had))


def _silent(grain: Grain, live: Any, config: Any) -> bool:
    """Whether an empty map or list, or a null where one should be, says nothing about what is there."""
    return grain is not Grain.WHOLE and not config and bool(live) and isinstance(live, dict | list)


def _goes(gone: Tree, step: str) -> bool:
    node = gone.get(step)
    return node is not None and is_member(node)


def _thinned(field: Field, step: str, value: Any, gone: Tree) -> Any:
    return remove(child(field, step), value, gone[step]) if step in gone else value


def _merge_lists(field: Field, live: list[Any], config: list[Any]) -> list[Any]:
    """The configuration's elements in its order; the others stay before those that they stood before."""
    named, element = identity(field), field.schema.items or ANY_FIELD
    theirs = {named(item): item for item in reversed(live)}
    ours = {named(item): item for item in config}
    merged: list[Any] = []
    todo = list(ours)
    done: set[str] = set()
    shared = [step for step in todo if step in theirs]

    def put(step: str) -> None:
        done.add(step)
        merged.append(merge(element, theirs[step], ours[step]) if step in theirs else ours[step])

    for item in live:
        step = named(item)
        if step not in ours:
            merged.append(item)
        elif step not in done and shared and step == shared[0]:
            while todo[0] != step:
                put(todo.pop(0))
            put(todo.pop(0))
            shared.pop(0)
    for step in todo:
        put(step)
    return merged
