"""YAML as Kubernetes reads it: the subset that has a JSON meaning.

PyYAML parses to events, no further: its composer recurses in C without a limit, so a few thousand brackets
would end the process. What a plain scalar means is decided here by the rules of sigs.k8s.io/yaml, because
PyYAML's own differ where people get hurt: dates stay strings, `12:30` is no number, `y` and `n` are booleans,
`0o17` and `1e3` are numbers. A key that is there twice is an error, and an alias cannot be used to blow a
small text up.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from mini8s.objects.errors import BadRequest
from mini8s.wire.depth import MAX_DEPTH, too_deep

MAX_NODES = 1_000_000  # after aliases are followed; 3 MB of manifests have some 200,000

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NO_NUMBER = re.compile(r"[-+]?\.inf|\.nan", re.IGNORECASE)
_TRUE = frozenset(
    cased for word in ("y", "yes", "true", "on") for cased in (word, word.title(), word.upper())
)
_FALSE = frozenset(
    cased for word in ("n", "no", "false", "off") for cased in (word, word.title(), word.upper())
)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TOO_DEEP = "maximum nesting depth"  # PyYAML's own bound since 6.0.4, which may be met before ours
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?.*", re.ASCII)


class _Dumper(yaml.CSafeDumper):
    """Quotes what any reader might take for something else, and never writes anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        block = "\n" in text and not re.search(r"[ \t]\n|^\s", text)
        return self.represent_scalar(f"{_TAG}str", text, style=_style(text, block=block))


_Dumper.add_representer(str, _Dumper.represent_text)


def encode_yaml(obj: Any) -> bytes:
    """Block style with sorted keys, as kubectl prints."""
    text: bytes = yaml.dump(
        obj, Dumper=_Dumper, encoding="utf-8", allow_unicode=True, default_flow_style=False, width=1 << 20
    )
    return text


def decode_yaml(data: bytes) -> Any:
    """The one document. Raises BadRequest for anything else."""
    documents = decode_yaml_documents(data)
    if len(documents) != 1:
        raise BadRequest(f"expected one YAML document, found {len(documents)}")
    return documents[0]


def decode_yaml_documents(data: bytes) -> list[Any]:
    """All documents, without the empty ones. Raises BadRequest."""
    try:
        values = list(_documents(yaml.parse(data, Loader=yaml.CSafeLoader)))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        if _TOO_DEEP in str(error):
            raise too_deep() from error
        raise BadRequest(f"the body is not valid YAML: {_one_line(error)}") from error
    return [value for value in values if value is not None]


def _documents(events: Iterator[yaml.Event]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            yield _Builder(events).value(next(events), 0)


class _Builder:
    """Turns one document's events into a JSON value, within a budget."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._nodes = 0
        self._anchors: dict[str, tuple[Any, int]] = {}  # value, and how many nodes it has

    def value(self, event: yaml.Event, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes
        self._count(1)
        if depth > MAX_DEPTH:
            raise too_deep()
        value = self._node(event, depth)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise BadRequest("the YAML document's aliases expand to too much")

    def _alias(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            raise _wrong(f"unknown anchor '{event.anchor}' referenced", event)
        value, nodes = self._anchors[event.anchor]
        self._count(nodes)
        return value

    def _node(self, event: yaml.Event, depth: int) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return [self.value(item, depth + 1) for item in self._until(yaml.SequenceEndEvent)]
        return _scalar(event)

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _mapping(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            is_merge = _is_merge(event)
            key = "" if is_merge else _key(self.value(event, depth + 1), event)
            value = self.value(next(self._events), depth + 1)
            if is_merge:
                merged = _merged(value, event) | merged
            elif key in made:
                raise _wrong(f'key "{key}" already set in map', event)
            else:
                made[key] = value
        return merged | made


def _is_merge(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.value == "<<" and bool(event.implicit[0])


def _merged(value: Any, event: yaml.Event) -> dict[str, Any]:
    """What `<<` brings in; of several maps the first that has a key counts."""
    made: dict[str, Any] = {}
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            raise _wrong("map merge requires map or sequence of maps as the value", event)
        made = item | made
    return made


def _key(value: Any, event: yaml.Event) -> str:
    if value is None or isinstance(value, list | dict):
        raise _wrong("unsupported map key", event)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.implicit[0]:
        return _plain(text, event)
    match (event.tag or "").removeprefix(_TAG):
        case "binary":
            return _binary(text, event)
        case "null":
            return None
        case "int" | "float" | "bool":
            return _plain(text, event)
    return text


def _plain(text: str, event: yaml.Event) -> Any:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text in _NULL:
        return None
    if _NO_NUMBER.fullmatch(text):
        raise _wrong(f"{text} is no number that JSON knows", event)
    return _number(text) if text[0] in "+-.0123456789" else text


def _number(text: str) -> Any:
    digits = text.replace("_", "")
    if _INT.fullmatch(digits) and len(digits) < 1000:
        return _integer(digits)
    if not _FLOAT.fullmatch(digits):
        return text
    number = float(digits)
    if math.isinf(number):
        return text
    return int(number) if number.is_integer() and abs(number) < 1 << 63 else number


def _integer(digits: str) -> int | float:
    sign, body = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    octal = len(body) > 1 and body[0] == "0" and body[1].isdigit()
    number = sign * (int(body, 8) if octal else int(body, 0))
    return number if -(1 << 63) <= number < 1 << 64 else float(number)


def _binary(text: str, event: yaml.Event) -> str:
    try:
        return base64.b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _wrong("!!binary value contains invalid base64 data", event) from error


def _wrong(message: str, event: yaml.Event) -> BadRequest:
    line = event.start_mark.line + 1 if event.start_mark else 0
    return BadRequest(f"the body is not valid YAML: line {line}: {message}")


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return " ".join(str(error).split())


def _style(text: str, *, block: bool) -> str | None:
    if block:
        return "|"
    ambiguous = text in _TRUE | _FALSE | _NULL or _NO_NUMBER.fullmatch(text) or _DATE.fullmatch(text)
    return '"' if ambiguous or not isinstance(_number(text or "~"), str) else None
