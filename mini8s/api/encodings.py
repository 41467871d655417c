"""The forms in which a watch's events are sent."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from mini8s.api.render import Renderer
from mini8s.api.representation import TEXT, YAML, Representation
from mini8s.objects.kinds import Kind, Obj
from mini8s.wire import framing
from mini8s.wire.codec import decode_json, encode_json, encode_yaml


@dataclass(frozen=True, slots=True)
class PlainEncoding:
    """JSON lines around stored bytes. One object may be watched in several versions: the key tells them
    apart."""

    key: Hashable = "json"
    content_type: str = "application/json"

    def event(self, type: str, value: bytes, *, first: bool) -> bytes:  # noqa: ARG002
        return framing.watch_event(type, value)


class RenderedEncoding:
    """Tables, partial objects and YAML documents, made from the decoded object."""

    def __init__(self, kind: Kind, wanted: Representation, renderer: Renderer, key: Hashable) -> None:
        self._kind = kind
        self._wanted = wanted
        self._renderer = renderer
        self.key = (kind, wanted, key)
        self.content_type = wanted.content_type

    def event(self, type: str, value: bytes, *, first: bool) -> bytes:
        shown = {"type": type, "object": self._object(type, decode_json(value), first)}
        if self._wanted.media == YAML:
            return b"---\n" + encode_yaml(shown)
        return encode_json(shown) + b"\n"

    def _object(self, type: str, obj: Obj, first: bool) -> Obj:
        if type == "ERROR":
            return obj
        if self._wanted.form == "Table":
            objects = [] if type == "BOOKMARK" else [obj]
            return self._renderer.table(objects, obj["metadata"]["resourceVersion"], headers=first)
        return self._renderer.shaped(obj)


class TextEncoding:
    """Lines for a person, aligned with those before: columns only ever get wider. So each watch has its
    own."""

    content_type = Representation(TEXT).content_type

    def __init__(self, renderer: Renderer) -> None:
        self.key: Hashable = object()
        self._renderer = renderer
        self._widths: list[int] = []

    def event(self, type: str, value: bytes, *, first: bool) -> bytes:  # noqa: ARG002
        if type == "BOOKMARK":
            return b""
        if type == "ERROR":
            return f"error: {decode_json(value)['message']}\n".encode()
        return self._renderer.lines(decode_json(value), self._widths).encode()
