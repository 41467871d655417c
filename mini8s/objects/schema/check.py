"""Does an object have the types of its kind?

A walk along the types that is free of charge where all is well: a path is a chain of pairs, made into text
only for what is wrong. A null is the same as nothing, as it is to Go.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mini8s.objects import quantity
from mini8s.objects.errors import Cause
from mini8s.objects.schema.types import Schema, Shape
from mini8s.objects.time import canonical

Path = tuple[Any, ...] | None  # (where, step): a name, or an index

_RANGES = {"int32": 1 << 31, "int64": 1 << 63, "": 1 << 63}


@dataclass(slots=True)
class Problems:
    """`errors`: values of a wrong type; `unknown`: paths of fields that the kind does not have."""

    errors: list[Cause] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def check(schema: Schema, value: Any) -> Problems:
    problems = Problems()
    _walk(schema, value, None, problems)
    return problems


def path_text(path: Path) -> str:
    """`spec.containers[0].name`; a map's key that holds a dot is written in brackets."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        plain = isinstance(step, str) and "." not in step and "/" not in step
        steps.append(f".{step}" if plain else f"[{step}]")
    return "".join(reversed(steps)).removeprefix(".")


def _walk(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if value is not None:
        _CHECKS[schema.shape](schema, value, path, problems)


def _object(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, dict):
        _mismatch(schema, value, path, problems)
        return
    fields = schema.fields
    for name, item in value.items():
        known = fields.get(name)
        if known is None:
            problems.unknown.append(path_text((path, name)))
        elif item is not None:
            _CHECKS[known.schema.shape](known.schema, item, (path, name), problems)


def _map(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, dict):
        _mismatch(schema, value, path, problems)
        return
    for name, item in value.items():
        _walk(schema.element, item, (path, name), problems)


def _list(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, list):
        _mismatch(schema, value, path, problems)
        return
    for index, item in enumerate(value):
        _walk(schema.element, item, (path, index), problems)


def _string(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, str):
        _mismatch(schema, value, path, problems)


def _boolean(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, bool):
        _mismatch(schema, value, path, problems)


def _integer(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        _mismatch(schema, value, path, problems)
    elif not -_RANGES[schema.format] <= value < _RANGES[schema.format]:
        _mismatch(schema, value, path, problems, shown=f"number {value}")


def _number(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        _mismatch(schema, value, path, problems)


def _int_or_string(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, int) or isinstance(value, bool):
        _mismatch(schema, value, path, problems)
    elif not -_RANGES["int32"] <= value < _RANGES["int32"]:
        _mismatch(schema, value, path, problems, shown=f"number {value}")


def _quantity(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        _mismatch(schema, value, path, problems)
        return
    _attempt(lambda: quantity.parse(value), path, problems)


def _time(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, str):
        _mismatch(schema, value, path, problems)
    else:
        _attempt(lambda: canonical(value), path, problems)


def _bytes(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    if not isinstance(value, str):
        _mismatch(schema, value, path, problems)
        return
    try:
        base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        _wrong("illegal base64 data", path, problems)


def _any(schema: Schema, value: Any, path: Path, problems: Problems) -> None:
    """Nothing to hold against it."""


def _attempt(parse: Callable[[], object], path: Path, problems: Problems) -> None:
    try:
        parse()
    except ValueError as error:
        _wrong(str(error), path, problems)


def _wrong(message: str, path: Path, problems: Problems) -> None:
    where = path_text(path)
    problems.errors.append(Cause(where, f"{where}: {message}", "FieldValueTypeInvalid"))


def _mismatch(schema: Schema, value: Any, path: Path, problems: Problems, shown: str = "") -> None:
    where = path_text(path)
    target = f"field {where} of type {type_name(schema)}" if where else f"value of type {type_name(schema)}"
    message = f"json: cannot unmarshal {shown or _json_name(value)} into {target}"
    problems.errors.append(Cause(where, message, "FieldValueTypeInvalid"))


def _json_name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, float):
        return f"number {value}"
    names = {dict: "object", list: "array", str: "string", int: "number"}
    return names.get(type(value), type(value).__name__)


def type_name(schema: Schema) -> str:
    """A type as Go programmers write it, which is how upstream's messages name it."""
    match schema.shape:
        case Shape.LIST:
            return f"[]{type_name(schema.element)}"
        case Shape.MAP:
            return f"map[string]{type_name(schema.element)}"
        case Shape.INTEGER:
            return schema.format or "int64"
        case Shape.NUMBER:
            return "float64"
        case Shape.BOOLEAN:
            return "bool"
        case Shape.BYTES:
            return "[]byte"
    return schema.short_name or "string"


_CHECKS: dict[Shape, Callable[[Schema, Any, Path, Problems], None]] = {
    Shape.OBJECT: _object,
    Shape.MAP: _map,
    Shape.LIST: _list,
    Shape.STRING: _string,
    Shape.BYTES: _bytes,
    Shape.TIME: _time,
    Shape.QUANTITY: _quantity,
    Shape.INT_OR_STRING: _int_or_string,
    Shape.INTEGER: _integer,
    Shape.NUMBER: _number,
    Shape.BOOLEAN: _boolean,
    Shape.ANY: _any,
}
