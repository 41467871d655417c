"""A request's head, from its bytes to what WSGI wants to know: read once, in one pass, strictly (RFC 9112).

pywsgi reads it through the standard library's e-mail parser, which takes longer than all that a GET does
besides, and forgives what must not be forgiven between a proxy and a server: two lengths, a name with a space
before its colon, a line that is folded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

MOST_HEADERS = 100  # the standard library's limits
MOST_LINE = 65_536
_VERSIONS = frozenset({"HTTP/1.1", "HTTP/1.0"})
_BLANK = re.compile(rb"\r?\n\r?\n")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_COMMON = 128  # no name is longer
_ALONE = frozenset({"CONTENT_LENGTH", "CONTENT_TYPE"})  # not HTTP_…


class BadHead(ValueError):
    """Not a request; the message is for the log."""


@dataclass(slots=True)
class Head:
    """`environ` has the request line and the headers as WSGI names them; `length` is None when none was
    said."""

    environ: dict[str, str]
    length: int | None
    chunked: bool
    keep_alive: bool


def end(data: bytes) -> int:
    """Where in data the blank line ends that ends a head; 0 when it has not come yet."""
    found = _BLANK.search(data)
    return found.end() if found else 0


def parse(data: bytes) -> Head:
    """A head with its blank line. Raises BadHead."""
    lines = _lines(data)
    environ = _request_line(lines[0])
    if len(lines) > MOST_HEADERS + 1:
        raise BadHead(f"more than {MOST_HEADERS} headers")
    _add_headers(environ, lines[1:])
    chunked = _is_chunked(environ)
    length = None if chunked else _length(environ)
    connection = environ.get("HTTP_CONNECTION", "").lower()
    if environ["SERVER_PROTOCOL"] == "HTTP/1.1":
        keep_alive = connection != "close"
    else:
        keep_alive = connection == "keep-alive"
    return Head(environ, length, chunked, keep_alive)


def wants_upgrade(environ: dict[str, str]) -> bool:
    """Whether what follows the head may be another protocol, which has no length."""
    connection, upgrade = environ.get("HTTP_CONNECTION", ""), environ.get("HTTP_UPGRADE", "")
    return connection.lower() == "upgrade" or upgrade.lower() == "websocket"


def _lines(data: bytes) -> list[str]:
    """Without their ends, which may be bare line feeds; a bare carriage return ends nothing, and is nothing
    else either."""
    text = data.decode("latin-1").replace("\r\n", "\n")
    if "\r" in text or "\0" in text:
        raise BadHead("a stray control character")
    return text.rstrip("\n").split("\n")


def _request_line(line: str) -> dict[str, str]:
    words = line.split(" ")
    if len(words) != 3 or words[2] not in _VERSIONS or not _TOKEN.fullmatch(words[0]):
        raise BadHead(f"no request line: {line[:200]!r}")
    method, target, version = words
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1") if "%" in path else path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": version,
    }


def _add_headers(environ: dict[str, str], lines: Iterable[str]) -> None:
    for line in lines:
        name, colon, value = line.partition(":")
        key = _key(name) if len(name) < _COMMON else ""
        if not (colon and key):
            raise BadHead(f"no header: {line[:200]!r}")
        value = value.strip(" \t")
        if key == _LEFT_OUT:
            continue
        if key in environ:
            value = _joined(key, environ[key], value)
        environ[key] = value


_LEFT_OUT = "_"


@lru_cache(maxsize=512)  # clients say the same few names again and again
def _key(name: str) -> str:
    """`HTTP_ACCEPT` of `Accept`; "" for what is no name. One with an underscore is left out: WSGI could not
    tell it from one with a dash, which a proxy in front may have vouched for."""
    if not _TOKEN.fullmatch(name):
        return ""
    if "_" in name:
        return _LEFT_OUT
    key = name.replace("-", "_").upper()
    return key if key in _ALONE else f"HTTP_{key}"


def _joined(key: str, before: str, value: str) -> str:
    if key in _ALONE:
        if value != before:
            raise BadHead(f"{key} is said twice, and not the same: {before!r} and {value!r}")
        return value
    return f"{before}; {value}" if key == "HTTP_COOKIE" else f"{before},{value}"


def _is_chunked(environ: dict[str, str]) -> bool:
    """A length beside chunks counts for nothing, and must not be believed further on."""
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is None:
        return False
    if coding.lower() != "chunked":
        raise BadHead(f"unknown transfer coding {coding!r}")
    environ.pop("CONTENT_LENGTH", None)
    return True


def _length(environ: dict[str, str]) -> int | None:
    text = environ.get("CONTENT_LENGTH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise BadHead(f"Content-Length {text[:200]!r} is no number")
    if environ["REQUEST_METHOD"] == "HEAD" and int(text):
        raise BadHead("a HEAD with a body")
    return int(text)
