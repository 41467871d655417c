"""Reading a request's body: its size, its form, and what every object in one must say."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from mini8s.api.representation import parameters
from mini8s.objects.errors import BadRequest, TooLarge, UnsupportedMediaType
from mini8s.objects.kinds import Kind, Obj
from mini8s.wire import codec, protobuf

MAX_BYTES = 3 * 1024 * 1024  # upstream's limit for a request
PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON_TYPES = {"", "application/json", "*/*", "application/x-www-form-urlencoded"}  # the last is curl -d's
_YAML_TYPES = {"application/yaml", "text/yaml", "application/x-yaml"}
APPLY = "application/apply-patch+yaml"
PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    APPLY,
)


class Body:
    """One request's body; nothing is read before somebody asks."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    @property
    def media_type(self) -> str:
        return parameters(self._environ.get("CONTENT_TYPE") or "")[0]

    def raw(self) -> bytes:
        """Raises TooLarge, BadRequest."""
        length = self._length()
        try:
            data: bytes = self._environ["wsgi.input"].read(MAX_BYTES + 1 if length is None else length)
        except OSError as error:
            raise BadRequest(f"the request's body cannot be read: {error}") from error
        if len(data) > MAX_BYTES:
            raise _too_large()
        if length is not None and len(data) < length:
            raise BadRequest(f"the request's body ends after {len(data)} of {length} bytes")
        return data

    def value(self, *, look_for_repeated: bool = False) -> tuple[Any, list[str]]:
        """The decoded body, and the paths of keys that it has twice if asked (that costs a second parse).
        Raises UnsupportedMediaType too."""
        data, media = self.raw(), self.media_type
        if media == PROTOBUF:
            return protobuf.decode(data), []
        if media in _YAML_TYPES:
            return codec.decode_yaml(data), []
        if not data.strip():
            return None, []  # of no form at all: a deletion with nothing to add
        if media in _JSON_TYPES:
            return codec.decode_strict_json(data) if look_for_repeated else (codec.decode_json(data), [])
        raise _unsupported((*sorted(_JSON_TYPES - {"", "*/*"}), "application/yaml", PROTOBUF))

    def patch(self, *, look_for_repeated: bool = False) -> tuple[Any, str, list[str]]:
        """A patch, its media type, and the paths of keys that it has twice, if asked."""
        media = self.media_type
        if media not in PATCH_TYPES:
            raise _unsupported(PATCH_TYPES)
        data = self.raw()
        if media == APPLY:
            return _decode_applied(data), media, []
        if not look_for_repeated:
            return codec.decode_json(data), media, []
        value, repeated = codec.decode_strict_json(data)
        return value, media, repeated

    def _length(self) -> int | None:
        text = self._environ.get("CONTENT_LENGTH") or ""
        if not text:
            chunked = "chunked" in self._environ.get("HTTP_TRANSFER_ENCODING", "").lower()
            return None if chunked else 0
        if not text.isdigit():
            raise BadRequest(f"Content-Length {text!r} is not a number")
        if int(text) > MAX_BYTES:
            raise _too_large()
        return int(text)


def check_object(value: Any, kind: Kind) -> Obj:
    """The body as an object of this kind. apiVersion and kind may be left out: the URL has said them."""
    if not isinstance(value, dict):
        what = "an empty body" if value is None else f"a JSON {type(value).__name__}"
        raise BadRequest(f"the body of the request must be a {kind.kind} object, not {what}")
    version, name = value.get("apiVersion") or kind.api_version, value.get("kind") or kind.kind
    if version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match "
            f"the expected API version ({kind.api_version})"
        )
    if name != kind.kind:
        raise BadRequest(f"{name} in version {version!r} cannot be handled as a {kind.kind}")
    metadata = value.get("metadata")
    if not isinstance(metadata, dict | None):
        raise BadRequest(f"{kind.kind}: metadata must be an object")
    return {**value, "apiVersion": version, "kind": name, "metadata": metadata or {}}


def _decode_applied(data: bytes) -> Any:
    """YAML, which most clients write as JSON; that is read much faster. A key that is there twice is refused
    in both."""
    if data.lstrip()[:1] == b"{":
        with contextlib.suppress(BadRequest):
            value, repeated = codec.decode_strict_json(data)
            if not repeated:
                return value
    return codec.decode_yaml(data)


def _too_large() -> TooLarge:
    return TooLarge(f"Request entity too large: limit is {MAX_BYTES}")


def _unsupported(supported: tuple[str, ...]) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        "the body of the request was in an unknown format - "
        f"accepted media types include: {', '.join(supported)}"
    )
