"""`…/proxy/PATH` of pods, services and nodes: a request handed on to whoever is meant, and the answer back.

The server needs no road to pods: the node's agent dials, over the connection that it opened itself
(`api.tunnel`). Bodies stream both ways. What asks for an upgrade is passed on as bytes, whatever is agreed
on. The client's credentials go no further than here.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, cast
from urllib.parse import quote, urlsplit

import gevent

from mini8s.api import headers
from mini8s.api.answer import Answer, Pieces, begun, connection_of
from mini8s.api.backends import Backend, Backends
from mini8s.api.connection import Connection, Socket
from mini8s.api.logs import ask, refusal
from mini8s.api.splice import LOOK_SECONDS
from mini8s.api.streams import agreed
from mini8s.api.target import Target
from mini8s.api.tunnel import Tunnels
from mini8s.objects.errors import ServiceUnavailable
from mini8s.registry.base import Registry

_PIECE = 65536  # bytes
_ROOTED = frozenset({"GET", "HEAD"})  # methods that are sent to PATH/ when they ask for PATH


class Proxy:
    def __init__(self, registry: Registry, tunnels: Tunnels) -> None:
        self._backends = Backends(registry, random.choice)
        self._tunnels = tunnels

    def answer(self, environ: Mapping[str, Any], target: Target) -> Answer:
        """Raises ApiError."""
        backend = self._backends.find(target)
        asked = Asked(environ, target, backend)
        if not asked.upgrade and not asked.path and asked.method in _ROOTED:
            return Answer(
                status=301, content_type="", headers=[("Location", f"{asked.prefix}/{asked.query}")]
            )
        with ExitStack() as stack:
            sock = stack.enter_context(self._tunnels.open(backend.node))
            if backend.road:
                _connect(sock, backend)
            if asked.upgrade:
                return agreed(stack, sock, asked.head(), backend.node)
            return _exchange(stack, sock, asked)


class Asked:
    """The client's request, and how it reads to the backend."""

    def __init__(self, environ: Mapping[str, Any], target: Target, backend: Backend) -> None:
        parts = (
            8 if target.namespace else 6
        )  # of /api/v1/namespaces/N/pods/NAME/proxy, /api/v1/nodes/NAME/proxy
        steps = _raw_path(environ).split("/", parts)
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.prefix = "/".join(steps[:parts])
        self.path = f"/{steps[parts]}" if len(steps) > parts else ""
        self.query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        self.backend = backend.host
        self.host: str = environ.get("HTTP_HOST") or backend.host
        self.length: str = environ.get("CONTENT_LENGTH") or ""
        self.chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()

    @property
    def upgrade(self) -> str:
        wanted = "upgrade" in self.environ.get("HTTP_CONNECTION", "").lower()
        return str(self.environ.get("HTTP_UPGRADE", "")) if wanted else ""

    @property
    def has_body(self) -> bool:
        return self.chunked or self.length not in {"", "0"}

    def head(self) -> bytes:
        lines = [f"{self.method} {self.path or '/'}{self.query} HTTP/1.1", f"Host: {self.host}"]
        pairs = headers.passed_on(self.environ, self.prefix + self.path)
        lines += [f"{name}: {value}" for name, value in pairs]
        if self.upgrade:
            lines += ["Connection: Upgrade", f"Upgrade: {self.upgrade}"]
        else:
            lines.append("Connection: close")
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif self.length:
            lines.append(f"Content-Length: {self.length}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _raw_path(environ: Mapping[str, Any]) -> str:
    """As the client wrote it: what is escaped there stays escaped."""
    raw: str = environ.get("RAW_URI") or quote(environ["PATH_INFO"].encode("latin-1"))
    return raw.partition("?")[0] if raw.startswith("/") else urlsplit(raw).path


def _connect(sock: Socket, backend: Backend) -> None:
    """Have the agent dial; from then on it passes bytes. Raises ServiceUnavailable."""
    with contextlib.closing(ask(sock, backend.road, backend.node)) as response:
        if response.status != http.client.OK:
            raise _unreached(refusal(response).message)


def _exchange(stack: ExitStack, sock: Socket, asked: Asked) -> Answer:
    stack.callback(_look_after(connection_of(asked.environ), sock))
    try:
        sock.sendall(asked.head())
        if asked.has_body:
            stack.callback(gevent.spawn(_send_body, sock, asked).kill)
        response = http.client.HTTPResponse(cast("socket.socket", sock), method=asked.method)
        stack.enter_context(contextlib.closing(response))
        response.begin()
    except (OSError, http.client.HTTPException) as error:
        raise _unreached(str(error) or type(error).__name__) from error
    pieces = begun(_pieces(response, stack.pop_all()))
    return Answer(status=response.status, content_type="", headers=_headers(response, asked), pieces=pieces)


def _headers(response: http.client.HTTPResponse, asked: Asked) -> headers.Pairs:
    pairs = [
        (name, headers.rewritten(value, prefix=asked.prefix, backend=asked.backend, asked=asked.host))
        if name.lower() == "location"
        else (name, value)
        for name, value in headers.handed_back(response.getheaders())
    ]
    unsaid = asked.method == "HEAD" and response.getheader("Content-Length") is None
    return [*pairs, ("Connection", "close")] if unsaid else pairs  # where its body would end, nobody knows


def _send_body(sock: Socket, asked: Asked) -> None:
    """As it comes. If it breaks off, so does the backend's request; what that means the answer says."""
    body = asked.environ["wsgi.input"]
    try:
        while piece := body.read1(_PIECE):
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if asked.chunked else piece)
        if asked.chunked:
            sock.sendall(b"0\r\n\r\n")
    except OSError:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)


def _pieces(response: http.client.HTTPResponse, held: ExitStack) -> Pieces:
    """The answer's body, when it comes. One that breaks off must not look whole to the client."""
    with held:
        yield b""
        try:
            while piece := response.read1(_PIECE):
                yield piece
        except http.client.HTTPException as error:
            raise ConnectionError("the backend broke off") from error


def _look_after(connection: Connection, sock: Socket) -> Callable[[], None]:
    """A client that leaves while nobody reads from it is missed, and its backend let go. Returns what calls
    that off."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if not connection.lives():
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                return

    gevent.spawn(look)
    return over.set


def _unreached(why: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"error trying to reach service: {why}")
