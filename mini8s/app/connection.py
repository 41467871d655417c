"""`api.connection.Connection` over gevent's sockets, plain and TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from mini8s.api.connection import Peer, Socket
from mini8s.api.splice import lives
from mini8s.util.keepalive import keep_alive

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: Linux's struct ucred
_READ, _WRITE = 1, 2
_RECORD = 16 * 1024  # bytes, the most in one of TLS

Sendable = bytes | bytearray | memoryview


class ServedConnection:
    """One accepted socket. The peer is looked up once: it can't change while the connection lasts."""

    __slots__ = ("_peer", "_push", "_sock", "_streams", "taken")

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._push: Callable[[Sendable], int] = _below(sock)[0]
        self._peer: Peer | None = None
        self._streams: list[TakenStream] = []
        self.taken = False

    @property
    def peer(self) -> Peer:
        if self._peer is None:
            self._peer = _peer(self._sock)
        return self._peer

    def push(self, data: Sendable) -> int:
        """How many bytes the socket takes at once. Whoever sends the rest starts where it ended."""
        try:
            return self._push(data)
        except OSError:  # full, or gone: gevent's own way finds out
            return 0

    def take_stream(self) -> TakenStream:
        self.taken = True
        return self._stream()

    def take_socket(self) -> Socket:
        self.taken = True
        return TakenSocket(self._sock)

    def lives(self) -> bool:
        return lives(self._sock)

    def when_gone(self, callback: Callable[[], None]) -> Callable[[], None]:
        watched = self._stream()
        watched.when_gone(callback)
        return watched.close

    def release(self) -> None:
        """After each request: a watcher that outlives its socket ends the whole process (libev asserts)."""
        while self._streams:
            self._streams.pop().close()

    def _stream(self) -> TakenStream:
        self._streams.append(TakenStream(self._sock))
        return self._streams[-1]


class TakenSocket:
    """A socket that waits as long as it takes. Its shutdown is the connection's only: gevent's own forgets
    the TLS state, and what is under way could neither be read nor refused any more."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        sock.settimeout(None)  # the limit on idle requests is not for streams
        if sock.family != socket.AF_UNIX:
            keep_alive(sock)
        self._receive: Callable[[int], bytes] = sock.recv
        self._pull = _below(sock)[1]
        self.sendall: Callable[[bytes], None] = sock.sendall
        self.makefile: Callable[..., Any] = sock.makefile
        self.getsockopt: Callable[[int, int, int], bytes] = sock.getsockopt
        self.close: Callable[[], None] = sock.close

    def recv(self, size: int) -> bytes:
        """TLS gives out a record at a time: those that have come behind a full one are taken along, because
        each piece costs whoever it is passed on to a wake-up. An end or an error comes again next time."""
        piece = self._receive(size)
        if len(piece) != _RECORD:
            return piece
        pieces, got = [piece], _RECORD
        with contextlib.suppress(OSError):
            while len(piece) == _RECORD and got < size:
                piece = self._pull(size - got)
                pieces.append(piece)
                got += len(piece)
        return b"".join(pieces)

    def shutdown(self, how: int) -> None:
        self._sock._sock.shutdown(how)  # noqa: SLF001


class TakenStream:
    """Non-blocking writes below gevent's waiting ones; libev says when there is room or an end."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._push, self._pull = _below(sock)
        loop = gevent.get_hub().loop
        self._readable = loop.io(sock.fileno(), _READ)
        self._writable = loop.io(sock.fileno(), _WRITE)
        self._ended = Event()

    def write(self, data: bytes) -> int:
        try:
            return self._push(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        self._writable.stop()
        if callback is not None:
            self._writable.start(callback)

    def when_gone(self, callback: Callable[[], None]) -> None:
        self._readable.start(self._drain, callback)

    def close(self) -> None:
        if self._ended.is_set():
            return
        for watcher in (self._readable, self._writable):
            watcher.stop()
            watcher.close()
        self._ended.set()

    def wait(self, seconds: float) -> bool:
        try:
            return bool(self._ended.wait(seconds))
        except gevent.GreenletExit:  # killed while waiting: the watchers must not outlive the socket
            self.close()
            raise

    def _drain(self, gone: Callable[[], None]) -> None:
        """The client has nothing more to say here: what can be read is an end, or noise."""
        try:
            more = self._pull(4096)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            more = b""
        if not more:
            self._readable.stop()
            gone()


def _below(sock: Any) -> tuple[Callable[[Sendable], int], Callable[[int], bytes]]:
    """Write and read without waiting. gevent's own calls wait; the object below its socket, plain or TLS,
    answers at once."""
    secure = isinstance(sock, ssl.SSLSocket)
    below = sock._sslobj if secure else sock._sock  # noqa: SLF001
    return (below.write, below.read) if secure else (below.send, below.recv)


def _peer(sock: Any) -> Peer:
    if sock.family == socket.AF_UNIX:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return Peer(uid=_CREDENTIALS.unpack(credentials)[1])
    if not isinstance(sock, ssl.SSLSocket):
        return Peer()
    with contextlib.suppress(ValueError):  # no handshake
        certificate = sock.getpeercert()
        if certificate:
            return _subject(certificate)
    return Peer()


def _subject(certificate: Any) -> Peer:
    pairs = [pair for names in certificate.get("subject", ()) for pair in names]
    common_names = [value for key, value in pairs if key == "commonName"]
    organizations = tuple(value for key, value in pairs if key == "organizationName")
    return Peer(common_names[-1] if common_names else "", organizations)
