"""One HTTP GET within a time, for probes and hooks. The time is for all of it: who answers a byte now and
then keeps nobody longer than who doesn't answer."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MOST_BODY = 10 * 1024
MOST_REDIRECTS = 10

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Response:
    """`location` is where a redirect leads."""

    code: int
    body: bytes
    location: str = ""


class _Deadline(io.RawIOBase):
    """What a socket reads until a monotonic time."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview[int]) -> int:  # type: ignore[override]
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


class _Socket:
    """What http.client wants of a socket, with an end to its patience."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock, self._end = sock, end

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Deadline(self._sock, self._end))


def get(url: str, headers: Headers, seconds: float, agent: str) -> Response:
    """Raises TimeoutError, OSError, http.client.HTTPException, ValueError."""
    parts, end = urlsplit(url), time.monotonic() + seconds
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    given = {name.lower(): value for name, value in headers}
    shown = f"[{host}]" if ":" in host else host
    head = {
        "host": f"{shown}:{port}", "user-agent": agent, "accept": "*/*", "accept-encoding": "identity",
        "connection": "close", **given,
    }  # fmt: skip
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = http.client.HTTPConnection(host, port)
    with (
        socket.create_connection((host, port), timeout=seconds) as plain,
        _wrapped(plain, host, secure=secure) as sock,
    ):
        request.sock = sock
        request.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        for name, value in head.items():
            request.putheader(name, value)
        request.endheaders()
        answer = http.client.HTTPResponse(_Socket(sock, end), method="GET")  # type: ignore[arg-type]
        answer.begin()
        body = answer.read(MOST_BODY)
        return Response(answer.status, body, answer.getheader("location") or "")


def _wrapped(sock: socket.socket, host: str, *, secure: bool) -> socket.socket:
    """The question is whether somebody answers, not who: the kubelet doesn't verify either."""
    if not secure:
        return sock
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return context.wrap_socket(sock, server_hostname=host)


def words(url: str, error: Exception) -> str:
    """A failure as Go says it, for what people look for most."""
    where = urlsplit(url).netloc
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {where}: connect: connection refused"
    if isinstance(error, OSError) and error.strerror:
        return f"dial tcp {where}: {error.strerror.lower()}"
    return str(error) or type(error).__name__
