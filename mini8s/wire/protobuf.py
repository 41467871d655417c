"""kubectl's protobuf bodies (`application/vnd.kubernetes.protobuf`), decoded to JSON objects.

Since 1.32 kubectl sends them for objects it makes itself and does not try again in JSON. Field numbers, names
and types are data (`protobuf.json.gz`, made by `scripts/schema`). Go writes every field that is no pointer,
zero or not: such a zero is dropped, as `omitempty` drops it from JSON; a pointer's zero was meant.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_micro, format_time
from mini8s.wire.codec import decode_json

MAGIC = b"k8s\x00"
MAX_DEPTH = 100

_META = "k8s.io.apimachinery.pkg.apis.meta.v1."
_REPEATED, _PLAIN, _INLINE = 1, 2, 4
_DOUBLE, _BOOL, _STRING, _MESSAGE, _BYTES = 1, 8, 9, 11, 12
_INTEGERS = frozenset({3, 4, 5, 13})

Message = dict[str, Any]  # field number -> [JSON name, flags, type, message name]


class Malformed(ValueError):
    """Bytes that no message of ours can be."""


def decode(body: bytes) -> Obj:
    """The object, with its apiVersion and kind. Raises BadRequest."""
    if not body.startswith(MAGIC):
        raise BadRequest("the body is not in the Kubernetes protobuf format: it does not begin with k8s\\x00")
    try:
        return _envelope(memoryview(body)[len(MAGIC) :])
    except (ValueError, IndexError, OverflowError, struct.error) as error:
        raise BadRequest(f"the body is not valid protobuf: {error}") from error


@cache
def _messages() -> dict[str, Message]:
    packed = resources.files(__package__).joinpath("protobuf.json.gz").read_bytes()
    messages: dict[str, Message] = json.loads(gzip.decompress(packed))
    return messages


def _envelope(data: memoryview) -> Obj:
    """`runtime.Unknown`: type, bytes, how they are encoded."""
    outer = dict(_fields(data))
    type_meta = dict(_fields(_bytes(outer.get(1, b""))))
    api_version, kind = _text(type_meta.get(1, b"")), _text(type_meta.get(2, b""))
    if outer.get(3):
        raise BadRequest(f"the body's content encoding {_text(outer[3])} is not supported")
    obj = _message(_message_name(api_version, kind), _bytes(outer.get(2, b"")), 0)
    return {"kind": kind, "apiVersion": api_version, **obj}


def _message_name(api_version: str, kind: str) -> str:
    """Kinds of no group's own, such as DeleteOptions, are meta's, whatever version they are sent with."""
    group, _, version = api_version.rpartition("/")
    package = f"k8s.io.api.{group.partition('.')[0] or 'core'}.{version}."
    found = next((name for name in (package + kind, _META + kind) if name in _messages()), None)
    if found is None:
        raise BadRequest(f'no kind "{kind}" is registered for version "{api_version}"')
    return found


def _message(name: str, data: memoryview, depth: int) -> Obj:
    if depth > MAX_DEPTH:
        raise Malformed("nested too deep")
    known = _messages()[name]
    made: Obj = {}
    for number, raw in _fields(data):
        field = known.get(str(number))
        if field is None:
            continue
        label, flags, scalar, target = field
        if flags & _REPEATED:
            _append(made, field, raw, depth)
            continue
        value = _value(scalar, target, raw, depth)
        if flags & _INLINE:
            made |= value
        elif value is not None and (value or not flags & _PLAIN):
            made[label] = value
    return made


def _append(made: Obj, field: list[Any], raw: Any, depth: int) -> None:
    """One more element of a list, or of a map: protobuf's maps are lists of pairs."""
    label, _, scalar, target = field
    entry = _messages().get(target)
    if entry is None or "map" not in entry:
        made.setdefault(label, []).append(_value(scalar, target, raw, depth))
        return
    pair = dict(_fields(_bytes(raw)))
    _, _, value_scalar, value_target = entry["2"]
    zero = b"" if value_scalar in {_STRING, _BYTES, _MESSAGE} else 0
    value = _value(value_scalar, value_target, pair.get(2, zero), depth)
    made.setdefault(label, {})[_text(pair.get(1, b""))] = value


def _value(scalar: int, target: str, raw: Any, depth: int) -> Any:
    if scalar == _STRING:
        return _text(raw)
    if scalar == _BYTES:
        return base64.b64encode(_bytes(raw)).decode()
    if scalar == _MESSAGE:
        special = _SPECIAL.get(target) or _SPECIAL.get(target.rpartition(".")[2])
        return special(_bytes(raw)) if special else _message(target, _bytes(raw), depth + 1)
    if scalar == _DOUBLE:
        return struct.unpack("<d", _bytes(raw))[0]
    number = _signed(raw)
    if scalar == _BOOL:
        return bool(number)
    if scalar in _INTEGERS:
        return number
    raise Malformed(f"field type {scalar} is not known")


def _quantity(data: memoryview) -> str:
    return _text(dict(_fields(data)).get(1, b"0"))


def _int_or_string(data: memoryview) -> int | str:
    parts = dict(_fields(data))
    return _text(parts.get(3, b"")) if parts.get(1) else _signed(parts.get(2, 0))


def _moment(data: memoryview) -> datetime | None:
    """None is Go's zero time."""
    parts = dict(_fields(data))
    seconds, nanos = _signed(parts.get(1, 0)), _signed(parts.get(2, 0))
    if not seconds and not nanos:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=nanos // 1000)


def _time(data: memoryview) -> str | None:
    moment = _moment(data)
    return format_time(moment) if moment else None


def _micro_time(data: memoryview) -> str | None:
    moment = _moment(data)
    return format_micro(moment) if moment else None


def _raw_json(data: memoryview) -> Any:
    raw = dict(_fields(data)).get(1)
    return decode_json(bytes(_bytes(raw))) if raw else None


def _strings(data: memoryview) -> list[str]:
    return [_text(raw) for number, raw in _fields(data) if number == 1]


_SPECIAL: dict[str, Callable[[memoryview], Any]] = {
    "k8s.io.apimachinery.pkg.api.resource.Quantity": _quantity,
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    f"{_META}Time": _time,
    f"{_META}MicroTime": _micro_time,
    f"{_META}FieldsV1": _raw_json,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _raw_json,
    "ExtraValue": _strings,  # of several groups: a list of strings that has a message of its own
}


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and raw value of each field: an int for a varint, else the bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire = key & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if wire == 2:
            size, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(wire, -1)
        if size < 0 or size > len(data) - at:
            raise Malformed("it ends in the middle of a field" if size >= 0 else f"unknown wire type {wire}")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise Malformed("a number is longer than ten bytes")


def _bytes(raw: Any) -> memoryview:
    if isinstance(raw, int):
        raise Malformed("a number stands where bytes are expected")
    return memoryview(raw)


def _text(raw: Any) -> str:
    return bytes(_bytes(raw)).decode()


def _signed(raw: Any) -> int:
    if not isinstance(raw, int):
        raise Malformed("bytes stand where a number is expected")
    return raw - (1 << 64) if raw >> 63 else raw
