"""What of a request's and an answer's headers a proxy hands on, and what it writes anew (RFC 9110, 7.6.1;
upstream's `UpgradeAwareHandler`)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

Pairs = list[tuple[str, str]]

HOPS = frozenset({
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_OURS = frozenset({"host", "content-length", "authorization", "expect"})  # authorization was for us alone
_IMPERSONATE = "impersonate-"
_CORS = frozenset(f"access-control-allow-{part}" for part in ("credentials", "headers", "methods", "origin"))
_BARE = {"CONTENT_TYPE": "Content-Type"}  # WSGI has it without its HTTP_


def passed_on(environ: Mapping[str, Any], uri: str) -> Pairs:
    """The request's headers for the backend. `uri` is what the client asked for."""
    dropped = HOPS | _OURS | _named(environ.get("HTTP_CONNECTION", ""))
    pairs = [
        (name, value)
        for name, value in _headers(environ)
        if name.lower() not in dropped and not name.lower().startswith((_IMPERSONATE, "x-forwarded-"))
    ]
    return [*pairs, *_forwarded(environ, uri)]


def handed_back(pairs: Iterable[tuple[str, str]]) -> Pairs:
    """The answer's headers for the client."""
    found = list(pairs)
    said = next((value for name, value in found if name.lower() == "connection"), "")
    dropped = HOPS | _CORS | _named(said)
    return [(name, value) for name, value in found if name.lower() not in dropped]


def rewritten(location: str, *, prefix: str, backend: str, asked: str) -> str:
    """Where a redirect of the backend leads through the proxy. One to somebody else stays, and so does a
    relative one. `backend` and `asked`: the hosts by which the backend may call itself."""
    url = urlsplit(location)
    if url.netloc not in {"", backend, asked} or not url.path.startswith("/"):
        return location
    scheme, host = (url.scheme, url.netloc) if url.netloc == asked else ("", "")
    path = url.path
    if not path.startswith(prefix):
        path = posixpath.normpath(prefix + path) + ("/" if path.endswith("/") else "")
    return urlunsplit((scheme, host, path, url.query, url.fragment))


def _headers(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name.removeprefix("HTTP_").replace("_", "-").title(), value
        elif name in _BARE and value:
            yield _BARE[name], value


def _forwarded(environ: Mapping[str, Any], uri: str) -> Pairs:
    before = environ.get("HTTP_X_FORWARDED_FOR", "")
    who = ", ".join(part for part in (before, environ.get("REMOTE_ADDR") or "") if part)
    said = {
        "X-Forwarded-For": who,
        "X-Forwarded-Host": environ.get("HTTP_HOST", ""),
        "X-Forwarded-Proto": environ.get("wsgi.url_scheme", ""),
        "X-Forwarded-Uri": uri,
    }
    return [pair for pair in said.items() if pair[1]]


def _named(connection: str) -> frozenset[str]:
    """Headers that a Connection header declares to be for the next hop only."""
    return frozenset(word.strip().lower() for word in connection.split(",") if word.strip())
