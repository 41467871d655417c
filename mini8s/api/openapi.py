"""The OpenAPI documents: v3 by group and version, v2 in one piece, made when first asked for.

Contents come from `api.operations` and the schema data. What is kept is each document compressed, which most
clients take as it is; the hash of its text is its ETag and its name in the index.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mini8s.api import gnostic, operations
from mini8s.api.answer import Answer, json_answer, takes_gzip
from mini8s.api.representation import JSON, parameters
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import KINDS, Obj
from mini8s.wire.codec import encode_json

# kubectl 1.27 and 1.28 ask with an @ or a dot, and take only an answer with the dot.
_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PROTOBUF_ASKED = {_PROTOBUF, _PROTOBUF.replace("v2.v1", "v2@v1")}
_FOR_GOOD = "public, max-age=31536000, immutable"  # a URL with a hash never changes what it means


_VERSIONS = {
    f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}": (kind.group, kind.version)
    for kind in KINDS
}


@dataclass(frozen=True, slots=True)
class Document:
    packed: bytes
    hash: str
    content_type: str = JSON

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        etag = f'"{self.hash}"'
        headers = [("ETag", etag), ("Vary", "Accept, Accept-Encoding")]
        if "hash=" in environ.get("QUERY_STRING", ""):
            headers.append(("Cache-Control", _FOR_GOOD))
        if environ.get("HTTP_IF_NONE_MATCH", "").removeprefix("W/") == etag:
            return Answer(b"", 304, self.content_type, headers)
        if not takes_gzip(environ):
            return Answer(gzip.decompress(self.packed), 200, self.content_type, headers)
        headers.append(("Content-Encoding", "gzip"))
        return Answer(self.packed, 200, self.content_type, headers)


class Documents:
    """Every document that has been asked for. The index asks for all of v3, since it names their hashes."""

    def paths(self) -> list[str]:
        """Of the documents of v3, below /openapi/v3/."""
        return list(_VERSIONS)

    def index(self) -> Answer:
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={document.hash}"}
            for path, document in self._v3.items()
        }
        return json_answer({"paths": paths})

    def v3(self, path: str, environ: Mapping[str, Any]) -> Answer:
        """Raises NotFound."""
        document = self._v3.get(path.rstrip("/"))
        if document is None:
            raise NotFound("the server could not find the requested resource")
        return document.answer(environ)

    def v2(self, environ: Mapping[str, Any]) -> Answer:
        asked = environ.get("HTTP_ACCEPT", "").split(",")
        if any(parameters(clause)[0] in _PROTOBUF_ASKED for clause in asked):
            return self._v2_protobuf.answer(environ)
        return self._v2_json.answer(environ)

    @cached_property
    def _v3(self) -> dict[str, Document]:
        return {path: _json(operations.v3(*version)) for path, version in _VERSIONS.items()}

    @cached_property
    def _v2_json(self) -> Document:
        return _json(operations.v2())

    @cached_property
    def _v2_protobuf(self) -> Document:
        return _document(gnostic.encode(operations.v2()), _PROTOBUF)


def _json(document: Obj) -> Document:
    return _document(encode_json(document), JSON)


def _document(body: bytes, content_type: str) -> Document:
    return Document(gzip.compress(body, 6, mtime=0), hashlib.sha256(body).hexdigest().upper(), content_type)
