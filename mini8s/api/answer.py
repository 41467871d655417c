"""What a request comes to, before it is bytes on a socket: one small value that the fast path and Flask's
views both give."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from mini8s.api.connection import ENVIRON_KEY, Connection
from mini8s.api.representation import JSON, TEXT, YAML, Representation
from mini8s.objects.errors import ApiError, InternalError
from mini8s.wire.codec import encode_json, encode_yaml, indented

Headers = list[tuple[str, str]]
Pieces = Generator[bytes, None, None]
StartResponse = Callable[[str, Headers], Callable[[bytes], object]]

GZIP_FROM = 128 * 1024  # bytes; below, the round trip costs more than the line (upstream's limit)
_PRETTY = re.compile("(?:^|&)pretty=([^&]+)")
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_PEOPLE = ("curl", "Wget", "Mozilla/5.0")
_GZIP_LEVEL = 1  # one core serves everybody: speed before the last tenth of size
_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


@dataclass(slots=True)
class Answer:
    """`pieces` streams instead of `body`; `take_over` gets the connection instead of either."""

    body: bytes = b""
    status: int = 200
    content_type: str = JSON
    headers: Headers = field(default_factory=list)
    pieces: Pieces | None = None
    take_over: Callable[[Connection], None] | None = None


def json_answer(obj: Any, status: int = 200) -> Answer:
    return Answer(encode_json(obj), status)


def failure(error: ApiError, wanted: Representation) -> Answer:
    """The Status of an error, or its sentence for those who asked for text."""
    headers = [("Retry-After", str(error.retry_after))] if error.retry_after else []
    if wanted.media == TEXT:
        body = f"Error from server ({error.reason}): {error.message}\n".encode()
        return Answer(body, error.code, wanted.content_type, headers)
    if wanted.media == YAML:
        return Answer(encode_yaml(error.status()), error.code, YAML, headers)
    return Answer(encode_json(error.status()), error.code, JSON, headers)


def warned(answer: Answer, warnings: Iterable[str]) -> Answer:
    """With its Warning headers; what is said twice is said once."""
    for warning in dict.fromkeys(warnings):
        text = warning.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
        answer.headers.append(("Warning", f'299 - "{text}"'.encode().decode("latin-1")))
    return answer


def legible(answer: Answer, environ: Mapping[str, Any]) -> Answer:
    """JSON indented for those who read it themselves (upstream: `isPrettyPrint`)."""
    said = _PRETTY.search(environ.get("QUERY_STRING", ""))
    asked = said[1] in _TRUE if said else environ.get("HTTP_USER_AGENT", "").startswith(_PEOPLE)
    if asked and answer.content_type == JSON and answer.body:
        answer.body = indented(answer.body)
    return answer


def send(answer: Answer, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Give the answer to the WSGI server."""
    if answer.take_over is not None:
        answer.take_over(environ[ENVIRON_KEY])
        return ()
    headers = [("Content-Type", answer.content_type)] if answer.content_type else []
    headers += answer.headers
    line = _LINES.get(answer.status) or f"{answer.status} Status"
    if answer.pieces is not None:
        return _streamed(answer.pieces, start_response(line, headers))
    body = _packed(answer.body, environ, headers)
    if answer.status != HTTPStatus.NO_CONTENT:  # RFC 9110, 8.6: it has no length
        headers.append(("Content-Length", str(len(body))))
    start_response(line, headers)
    return () if environ["REQUEST_METHOD"] == "HEAD" else (body,)


def begun(pieces: Pieces) -> Pieces:
    """A generator that yields b"" first, begun: what it holds is let go even if nobody ever iterates it,
    because the client was gone before the answer began."""
    next(pieces)
    return pieces


def connection_of(environ: Mapping[str, Any]) -> Connection:
    """Raises InternalError under a server that can't give sockets away."""
    connection: Connection | None = environ.get(ENVIRON_KEY)
    if connection is None:
        raise InternalError("this server cannot give its sockets away")
    return connection


def _streamed(pieces: Pieces, write: Callable[[bytes], object]) -> Pieces:
    try:
        write(b"")  # the headers leave now: a follower may wait long for its first byte
    except BaseException:
        pieces.close()
        raise
    return pieces


def takes_gzip(environ: Mapping[str, Any]) -> bool:
    """Only the bare word counts, as upstream has it: `gzip;q=0` means no."""
    words: str = environ.get("HTTP_ACCEPT_ENCODING", "")
    return "gzip" in words and any(word.strip() == "gzip" for word in words.split(","))


def _packed(body: bytes, environ: dict[str, Any], headers: Headers) -> bytes:
    if len(body) < GZIP_FROM or not takes_gzip(environ):
        return body
    if any(name == "Content-Encoding" for name, _ in headers):
        return body
    headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)
