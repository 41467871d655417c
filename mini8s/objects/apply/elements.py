"""How the elements of a list are told apart: as path elements, `k:{"name":"web"}` and `v:"10.0.0.1"`."""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any

from mini8s.objects.schema.defaults import CONSTANT
from mini8s.objects.schema.types import Field, Grain


def identity(field: Field) -> Callable[[Any], str]:
    """What names an element of this list."""
    if field.grain is Grain.VALUES:
        return lambda item: "v:" + _text(item)
    keys = sorted(field.keys)
    if len(keys) == 1:
        only = keys[0]
        start = f'k:{{"{only}":'
        return lambda item: f"{start}{_text(item.get(only))}}}"
    defaults = CONSTANT.get(field.schema.element.name, {})
    return lambda item: _by_keys(item, keys, defaults)


def index(field: Field, items: list[Any]) -> dict[str, list[Any]]:
    """The elements by their names. An element that is there twice, which only old objects have, is a pair."""
    named = identity(field)
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(named(item), []).append(item)
    return found


def _by_keys(item: dict[str, Any], keys: list[str], defaults: Any) -> str:
    """A key that the element leaves out has its default, else it is no part of the name."""
    values = ((key, item.get(key, defaults.get(key))) for key in keys)
    return "k:{" + ",".join(f'"{key}":{_text(value)}' for key, value in values if value is not None) + "}"


def _text(value: Any) -> str:
    if type(value) is str:
        return encode_basestring(value)
    return str(value) if type(value) is int else json.dumps(value, separators=(",", ":"), sort_keys=True)
