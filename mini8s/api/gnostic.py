"""An OpenAPI v2 document as protobuf: the only form that kubectl 1.27 and 1.28 take.

The message is gnostic's `openapi_v2.Document` (google/gnostic, openapiv2/OpenAPIv2.proto); the numbers below
are its field numbers. Only what our own documents contain is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mini8s.wire.codec import encode_json

_BYTES = 2  # protobuf's wire type of strings and messages
_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}
_TRUE = b"\x08\x01"  # field 1, `required`


def encode(document: Mapping[str, Any]) -> bytes:
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(
        _field(2, _text(1, path) + _field(2, _path_item(item))) for path, item in document["paths"].items()
    )
    return b"".join(
        (
            _text(1, document["swagger"]),
            _field(2, info),
            _field(8, paths),
            _field(9, _named(document["definitions"])),
        )
    )


def _path_item(item: Mapping[str, Any]) -> bytes:
    methods = [_field(_METHODS[key], _operation(said)) for key, said in item.items() if key in _METHODS]
    parts = [_field(9, _parameter(said)) for said in item.get("parameters", ())]
    return b"".join([*methods, *parts])


def _operation(operation: Mapping[str, Any]) -> bytes:
    parameters = b"".join(_field(8, _parameter(said)) for said in operation["parameters"])
    answers = _field(1, _text(1, "200") + _field(2, _field(1, _text(1, "OK"))))
    return parameters + _field(9, answers) + _extensions(13, operation)


def _parameter(said: Mapping[str, Any]) -> bytes:
    """ParametersItem > Parameter > BodyParameter, or NonBodyParameter > Query- or PathParameterSubSchema."""
    where, name = said["in"], said["name"]
    if where == "body":
        body = _text(2, name) + _text(3, where) + _field(5, _schema(said["schema"]))
        return _field(1, _field(1, body))
    if where == "path":
        path = _TRUE + _text(2, where) + _text(4, name) + _text(5, said["type"])
        return _field(1, _field(2, _field(4, path)))
    query = _text(2, where) + _text(4, name) + _text(6, said["type"])
    return _field(1, _field(2, _field(3, query)))


def _schema(schema: Mapping[str, Any]) -> bytes:
    parts = [_text(number, schema[key]) for key, number in (("$ref", 1), ("format", 2)) if key in schema]
    if "default" in schema:
        parts.append(_field(5, _any(schema["default"])))
    parts += [_text(19, name) for name in schema.get("required", ())]
    parts += [_field(20, _any(choice)) for choice in schema.get("enum", ())]
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        parts.append(_field(21, _field(1, _schema(more))))
    if "type" in schema:
        parts.append(_field(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_field(23, _field(1, _schema(schema["items"]))))
    if "properties" in schema:
        parts.append(_field(25, _named(schema["properties"])))
    return b"".join([*parts, _extensions(31, schema)])


def _named(schemas: Mapping[str, Any]) -> bytes:
    return b"".join(
        _field(1, _text(1, name) + _field(2, _schema(schema))) for name, schema in schemas.items()
    )


def _extensions(number: int, said: Mapping[str, Any]) -> bytes:
    return b"".join(
        _field(number, _text(1, key) + _field(2, _any(value)))
        for key, value in said.items()
        if key.startswith("x-")
    )


def _any(value: Any) -> bytes:
    """gnostic keeps what it does not know as YAML, and JSON is YAML."""
    return _field(2, encode_json(value) + b"\n")


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, value: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(value)) + value


def _number(number: int) -> bytes:
    return bytes(_sevens(number))


def _sevens(number: int) -> Iterable[int]:
    while number > 127:
        yield number & 127 | 128
        number >>= 7
    yield number
