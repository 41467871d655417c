"""RFC 6902: a list of operations on paths, all of which succeed or none.

A document that cannot take the patch is a 422, as upstream; a patch that is none is a 400. `copy` could
double a document with every operation, so what a patch may copy is bounded, and so is how deep it may nest.
"""

from __future__ import annotations

import re
from typing import Any

from mini8s.objects.errors import BadRequest, Invalid, TooLarge

MAX_OPERATIONS = 10_000  # upstream's
MAX_NODES = 500_000  # values put in by one patch; an object of 3 MB has some 100,000
MAX_DEPTH = 250

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_NEEDS = {
    "add": ("value",),
    "replace": ("value",),
    "test": ("value",),
    "remove": (),
    "move": ("from",),
    "copy": ("from",),
}
_REJECTED = "the server rejected our request due to an error in our request"


def json_patch(doc: Any, ops: Any) -> Any:
    """Raises BadRequest, Invalid, TooLarge."""
    if not isinstance(ops, list) or not all(isinstance(op, dict) for op in ops):
        raise BadRequest("a JSON patch must be a list of operations")
    if len(ops) > MAX_OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(ops)}")
    patched = _Document(doc)
    for op in ops:
        patched.apply(op)
    return patched.root


class _Document:
    """A private copy that the operations change in place."""

    def __init__(self, doc: Any) -> None:
        self._nodes = 0
        self.root = self._copy(doc, "", 0)
        self._nodes = 0

    def apply(self, op: dict[str, Any]) -> None:
        name = op.get("op")
        if not isinstance(name, str) or name not in _NEEDS:
            raise BadRequest(f'unexpected kind of operation: "{name}"')
        path = _pointer(op, "path")
        if "value" in _NEEDS[name] and "value" not in op:
            raise BadRequest(f'operation {name} on "{op["path"]}" misses "value"')
        match name:
            case "add":
                self._add(path, op["path"], op["value"])
            case "replace":
                self._replace(path, op["path"], op["value"])
            case "remove":
                self._remove(path, op["path"])
            case "test":
                self._test(path, op["path"], op["value"])
            case "copy":
                self._add(path, op["path"], self._get(_pointer(op, "from"), op["from"]))
            case "move":
                self._move(_pointer(op, "from"), path, op)

    def _get(self, path: list[str], text: str) -> Any:
        value = self.root
        for token in path:
            value = _child(value, token, text)
        return value

    def _add(self, path: list[str], text: str, value: Any) -> None:
        value = self._copy(value, text, len(path))
        if not path:
            self.root = value
            return
        parent = self._get(path[:-1], text)
        match parent:
            case dict():
                parent[path[-1]] = value
            case list():
                end = path[-1] == "-"
                parent.insert(len(parent) if end else _index(path[-1], len(parent) + 1, text), value)
            case _:
                raise _rejected(text, "the parent is neither an object nor an array")

    def _replace(self, path: list[str], text: str, value: Any) -> None:
        self._get(path, text)
        value = self._copy(value, text, len(path))
        if not path:
            self.root = value
            return
        parent = self._get(path[:-1], text)
        parent[path[-1] if isinstance(parent, dict) else int(path[-1])] = value

    def _remove(self, path: list[str], text: str) -> None:
        self._get(path, text)
        if not path:
            self.root = None
            return
        parent = self._get(path[:-1], text)
        del parent[path[-1] if isinstance(parent, dict) else int(path[-1])]

    def _move(self, source: list[str], target: list[str], op: dict[str, Any]) -> None:
        if source == target[: len(source)] and len(source) < len(target):
            raise _rejected(op["path"], f'"{op["from"]}" cannot be moved into itself')
        value = self._get(source, op["from"])
        self._remove(source, op["from"])
        self._add(target, op["path"], value)

    def _test(self, path: list[str], text: str, value: Any) -> None:
        if not _same(self._get(path, text), value):
            raise _rejected(text, "test failed")

    def _copy(self, value: Any, text: str, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise TooLarge("the JSON patch copies too much")
        if depth > MAX_DEPTH:
            raise _rejected(text, f"the result would be nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            return {key: self._copy(item, text, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self._copy(item, text, depth + 1) for item in value]
        return value


def _pointer(op: dict[str, Any], member: str) -> list[str]:
    text = op.get(member)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise BadRequest(f'operation {op["op"]} needs a JSON pointer as "{member}", not {text!r}')
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


def _child(value: Any, token: str, text: str) -> Any:
    if isinstance(value, list):
        return value[_index(token, len(value), text)]
    if isinstance(value, dict) and token in value:
        return value[token]
    raise _rejected(text, f'there is no "{token}"')


def _index(token: str, size: int, text: str) -> int:
    if not _INDEX.fullmatch(token) or int(token) >= size:
        raise _rejected(text, f'"{token}" is no index of an array of {size}')
    return int(token)


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values: true is not 1, 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _rejected(path: str, why: str) -> Invalid:
    """Upstream's words, and the reason, which upstream keeps to itself."""
    return Invalid(f"{_REJECTED}: {path or 'the document'}: {why}")
