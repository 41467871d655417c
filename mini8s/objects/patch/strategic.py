"""Strategic merge patch: a merge that knows which lists are maps in disguise.

The rules, and the order that lists come out in, are those of upstream's `strategicpatch` package, directives
included: `$patch: replace|delete`, `$retainKeys`, `$deleteFromPrimitiveList/FIELD`, `$setElementOrder/FIELD`.
Which list merges by which key is the schema's to say. kubectl can compute the same merge by itself: it is the
oracle of the tests.
"""

from __future__ import annotations

from typing import Any

from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.objects.patch import lists
from mini8s.objects.schema.types import Field, Schema, Shape

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(doc: Obj, patch: Any, schema: Schema) -> Obj:
    """Raises BadRequest for a patch against the rules."""
    if not isinstance(patch, dict):
        raise BadRequest("a strategic merge patch must be an object")
    return _merge_map(doc, patch, schema)


def _merge_map(original: Obj, patch: Obj, schema: Schema) -> Obj:
    if _PATCH in patch:
        return _whole(patch)
    merged = _retained(original, patch)
    ordered = {key.removeprefix(_ORDER): value for key, value in patch.items() if key.startswith(_ORDER)}
    for name, order in ordered.items():
        _set_in_order(merged, patch, name, order, schema.field(name))
    for key, value in patch.items():
        if key == _RETAIN or key.startswith(_ORDER) or (key in ordered and value is not None):
            continue
        if key.startswith(_DELETE):
            _delete_values(merged, key.removeprefix(_DELETE), value)
        elif value is None or (_directed(value) and key not in merged):
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), value, schema.field(key))
    return merged


def _whole(patch: Obj) -> Obj:
    match patch[_PATCH]:
        case "replace":
            return {key: value for key, value in patch.items() if key != _PATCH}
        case "delete":
            return {}
    raise BadRequest(f"unknown patch type: {patch[_PATCH]} in map: {patch}")


def _retained(original: Obj, patch: Obj) -> Obj:
    """A copy of the original with those fields only that `$retainKeys` names, if it is there."""
    keep = patch.get(_RETAIN)
    if _RETAIN not in patch:
        return dict(original)
    named = set(keep) if isinstance(keep, list) and all(isinstance(key, str) for key in keep) else None
    given = {key for key, value in patch.items() if value is not None and not key.startswith("$")}
    if named is None or not given <= named:
        raise BadRequest("invalid patch format of retainKeys")
    return {key: value for key, value in original.items() if key in named}


def _delete_values(merged: Obj, key: str, values: Any) -> None:
    if not isinstance(values, list) or any(isinstance(value, dict | list) for value in values):
        raise BadRequest("invalid patch format of primitive list")
    if isinstance(merged.get(key), list):
        merged[key] = [value for value in merged[key] if value not in values]


def _merge_value(original: Any, value: Any, field: Field) -> Any:
    if isinstance(value, dict):
        if isinstance(original, dict):
            return _clean(value) if field.replaces else _merge_map(original, value, field.schema)
        return _new(value)
    if isinstance(value, list):
        if isinstance(original, list):
            return _merge_list(original, value, field) if field.merges else value
        return _new(value)
    return value


def _clean(value: Obj) -> Obj:
    return {key: item for key, item in value.items() if key != _PATCH}


def _directed(value: Any) -> bool:
    """A map that says what to do with one that is there. Where there is none, upstream drops it."""
    return isinstance(value, dict) and _PATCH in value


def _new(value: Any) -> Any:
    """What the patch brings where nothing was: without nulls, directives and what is to be deleted. Upstream
    forgets some directives here, which its typed decoding then drops."""
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if not _directed(item)}
        return {
            key: _new(item) for key, item in value.items() if item is not None and not key.startswith("$")
        }
    if isinstance(value, list):
        kept = [item for item in value if not (isinstance(item, dict) and _PATCH in item)]
        return [_new(item) for item in kept]
    return value


def _merge_list(original: list[Any], patch: list[Any], field: Field) -> list[Any]:
    if not original and not patch:
        return original
    if not lists.of_maps(original, patch):
        merged = lists.unique([*original, *patch])
        return lists.interleave(merged, patch, original, "")
    if not field.merge_key:
        raise BadRequest(f"cannot merge lists without merge key for {field.schema.name}")
    left, fresh = _special(original, patch, field.merge_key)
    merged = _merge_maps(left, fresh, field)
    return lists.interleave(merged, fresh, left, field.merge_key)


def _special(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """What is left of the original after the patch's `$patch` elements, and the patch's plain elements."""
    plain: list[Any] = []
    replace = False
    for item in patch:
        match item.get(_PATCH):
            case None:
                plain.append(item)
            case "delete":
                gone = lists.key_of(item, key)
                original = [old for old in original if old.get(key) != gone]
            case "replace":
                replace = True
            case "merge":
                raise BadRequest("merging lists cannot yet be specified in the patch")
            case other:
                raise BadRequest(f"unknown patch type: {other} in map: {item}")
    return ([], [_new(item) for item in plain]) if replace else (original, plain)


def _merge_maps(original: list[Any], patch: list[Any], field: Field) -> list[Any]:
    merged = list(original)
    for item in patch:
        wanted = lists.key_of(item, field.merge_key)
        at = next((at for at, old in enumerate(merged) if old.get(field.merge_key) == wanted), None)
        if at is None:
            merged.append(_new(item))
        else:
            merged[at] = _merge_map(merged[at], item, field.schema.element)
    return merged


def _set_in_order(merged: Obj, patch: Obj, name: str, order: Any, field: Field) -> None:
    """Merge the list `name`, then bring it in the order that the patch's sender wants."""
    original, change = merged.get(name), patch.get(name)
    right_types = isinstance(original, list | None) and isinstance(change, list | None)
    if not right_types or not isinstance(order, list) or field.schema.shape not in {Shape.LIST, Shape.ANY}:
        raise BadRequest(f"invalid patch format of setElementOrder list for {name}")
    if original is None and change is None:
        return
    lists.check_order(change or [], order, field.merge_key)
    if original is None or change is None:
        result = _new(change) if original is None else original
    else:
        result = _merge_list(original, change, field) if field.merges else change
    theirs = lists.filled(original or [], change or [], result, field.merge_key)
    merged[name] = lists.interleave(result, order, theirs, field.merge_key)
