"""An object as it is kept: only what its kind knows, quantities and times in canonical form, and what nobody
said put in.

Decoding into types and encoding again does this upstream. Here it is one walk along the types; at each object
the defaults of its type are put in, innermost first. A null in a list or map is the type's zero, as Go reads
it; maps and lists that are empty are left out where Go does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from mini8s.objects import quantity
from mini8s.objects.kinds import Obj
from mini8s.objects.schema.defaults import COMPUTED, CONSTANT
from mini8s.objects.schema.types import Schema, Shape
from mini8s.objects.time import canonical


def complete(schema: Schema, value: Any) -> Any:
    """A new value; the one given must have passed `check`."""
    handle = _HANDLERS.get(schema.shape)
    return handle(schema, value) if handle and value is not None else value


def _object(schema: Schema, value: Any) -> Obj:
    fields = schema.fields
    made = {
        name: complete(fields[name].schema, item)
        for name, item in value.items()
        if item is not None and name in fields and (item or not fields[name].omits)
    }
    for name, default in CONSTANT.get(schema.name, {}).items():
        if made.get(name, "") == "":
            made[name] = copy.deepcopy(default)
    if compute := COMPUTED.get(schema.name):
        made |= compute(made)
    return made


def _map(schema: Schema, value: Any) -> Obj:
    return {name: _element(schema.element, item) for name, item in value.items()}


def _list(schema: Schema, value: Any) -> list[Any]:
    return [_element(schema.element, item) for item in value]


def _element(schema: Schema, value: Any) -> Any:
    if value is None and schema.shape in _ZEROS:
        value = _ZEROS[schema.shape]()
    return complete(schema, value)


def _quantity(_: Schema, value: Any) -> str:
    return quantity.canonical(value)


def _time(schema: Schema, value: Any) -> str:
    return canonical(value, micro=schema.short_name == "MicroTime")


def _bytes(_: Schema, value: Any) -> str:
    """Go's base64 does not mind line ends, which people's YAML has."""
    text: str = value
    return text.replace("\r", "").replace("\n", "") if "\n" in text or "\r" in text else text


_ZEROS: dict[Shape, Callable[[], Any]] = {
    Shape.OBJECT: dict,
    Shape.MAP: dict,
    Shape.LIST: list,
    Shape.STRING: str,
    Shape.BYTES: str,
    Shape.QUANTITY: int,
    Shape.INT_OR_STRING: int,
    Shape.INTEGER: int,
    Shape.NUMBER: int,
    Shape.BOOLEAN: bool,
}
_HANDLERS: dict[Shape, Callable[[Schema, Any], Any]] = {
    Shape.OBJECT: _object,
    Shape.MAP: _map,
    Shape.LIST: _list,
    Shape.QUANTITY: _quantity,
    Shape.TIME: _time,
    Shape.BYTES: _bytes,
}
