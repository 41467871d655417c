"""Whether a configuration can be applied: of the kind's fields and types, its lists' elements told apart.

Applying is strict where other writes forgive: a field that the kind does not have, or an element that is
there twice, would be owned by mistake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mini8s.objects.apply.elements import identity
from mini8s.objects.apply.sets import text
from mini8s.objects.schema.defaults import CONSTANT
from mini8s.objects.schema.types import ANY_FIELD, Field, Grain, Shape

_Path = tuple[str, ...]


def problems(field: Field, config: Any) -> list[str]:
    """In upstream's words; an empty list when there are none."""
    return list(_check(field, config, ()))


def _check(field: Field, value: Any, path: _Path) -> Iterator[str]:
    shape = field.schema.shape
    if value is None or shape is Shape.ANY:
        return
    if shape in _CONTAINERS:
        yield from _CONTAINERS[shape](field, value, path)
        return
    expected, types = _TYPES[shape]
    if type(value) not in types:
        yield _told(path, f"expected {expected}, got {_got(value)}")


def _check_map(field: Field, value: Any, path: _Path) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _told(path, f"expected map, got {_got(value)}")
        return
    fields = field.schema.fields
    for name, item in value.items():
        if field.schema.shape is Shape.OBJECT and name not in fields:
            yield _told((*path, f"f:{name}"), "field not declared in schema")
        else:
            yield from _check(field.schema.field(name), item, (*path, f"f:{name}"))


def _check_list(field: Field, value: Any, path: _Path) -> Iterator[str]:
    if not isinstance(value, list):
        yield _told(path, f"expected list, got {_got(value)}")
        return
    element = field.schema.items or ANY_FIELD
    seen: set[str] = set()
    for place, item in enumerate(value):
        step = f"i:{place}"
        if field.grain is not Grain.WHOLE:
            if wrong := _nameless(field, item):
                yield _told((*path, step), wrong)
                continue
            step = identity(field)(item)
            if step in seen:
                yield _told(path, f"duplicate entries for key {text((step,))}")
            seen.add(step)
        yield from _check(element, item, (*path, step))


def _nameless(field: Field, item: Any) -> str:
    if field.grain is Grain.VALUES:
        return (
            "associative list without keys has an element that's a map type" if isinstance(item, dict) else ""
        )
    if item is None:
        return "associative list with keys may not have a null element"
    if not isinstance(item, dict):
        return "associative list with keys may not have non-map elements"
    defaults = CONSTANT.get(field.schema.element.name, {})
    if any(key in item or key in defaults for key in field.keys):
        return ""
    keys = " ".join(json.dumps(key) for key in field.keys)
    return (
        f"associative list with keys has an element that omits all key fields [{keys}] "
        "(and doesn't have default values for any key fields)"
    )


_TYPES: dict[Shape, tuple[str, tuple[type, ...]]] = {
    Shape.STRING: ("string", (str,)),
    Shape.BYTES: ("string", (str,)),
    Shape.TIME: ("string", (str,)),
    Shape.BOOLEAN: ("boolean", (bool,)),
    Shape.INTEGER: ("numeric (int or float)", (int, float)),
    Shape.NUMBER: ("numeric (int or float)", (int, float)),
    Shape.QUANTITY: ("string or number", (str, int, float)),
    Shape.INT_OR_STRING: ("string or number", (str, int)),
}


_CONTAINERS = {Shape.OBJECT: _check_map, Shape.MAP: _check_map, Shape.LIST: _check_list}


def _told(path: _Path, wrong: str) -> str:
    return f"{text(path)}: {wrong}" if path else wrong


def _got(value: Any) -> str:
    """As Go prints what it holds the value in."""
    shown = json.dumps(value, ensure_ascii=False)
    return f"&value.valueUnstructured{{Value:{shown}}}"
