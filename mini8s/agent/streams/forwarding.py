"""PURE: what a client says in a port-forward: connections to ports of the pod, each with its bytes and a
place for an error.

kubectl opens a pair of SPDY streams for each connection, on a bare socket or inside a WebSocket. The Python
client names its ports in the URL and has a pair of WebSocket channels for each: one connection a port.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mini8s.agent.streams.errors import ProtocolError
from mini8s.agent.streams.spdy import Data, Ended, Left, Opened, Spdy
from mini8s.agent.streams.websocket import WebSocket

MOST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Connect:
    """A connection to a port is wanted; `key` names it from now on."""

    key: int
    port: int


@dataclass(frozen=True, slots=True)
class Bytes:
    key: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The client says no more on this connection; `reset`: and is not interested in it any more."""

    key: int
    reset: bool = False


Wish = Connect | Bytes | Finished


class Forwarding(Protocol):
    @property
    def left(self) -> bool: ...

    def receive(self, data: bytes) -> Iterator[Wish]:
        """Raises ProtocolError."""

    def send(self, key: int, data: bytes) -> None: ...

    def end(self, key: int, error: str = "") -> None:
        """The pod's end is over."""


@dataclass(slots=True)
class _Pair:
    port: int
    data: int = 0
    error: int = 0


class SpdyForwarding:
    """A connection's key is its data stream's number."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._spdy = Spdy(send)
        self._open: dict[str, _Pair] = {}  # by request id, until both streams are there
        self._pairs: dict[int, _Pair] = {}
        self.left = False

    def receive(self, data: bytes) -> Iterator[Wish]:
        for event in self._spdy.receive(data):
            match event:
                case Opened(stream, headers):
                    pair = self._pair(headers.get("requestid", ""), _port(headers.get("port", "")))
                    if headers.get("streamtype") == "data":
                        pair.data = stream
                    else:
                        pair.error = stream
                    if pair.data and pair.error:
                        self._open.pop(headers.get("requestid", ""))
                        self._pairs[pair.data] = pair
                        yield Connect(pair.data, pair.port)
                case Data(stream, piece) if stream in self._pairs:
                    yield Bytes(stream, piece)
                case Ended(stream, reset) if stream in self._pairs:
                    yield Finished(stream, reset)
                case Left():
                    self.left = True

    def send(self, key: int, data: bytes) -> None:
        self._spdy.data(key, data)

    def end(self, key: int, error: str = "") -> None:
        pair = self._pairs.pop(key)
        self._spdy.data(pair.error, error.encode())
        self._spdy.end(pair.error)
        self._spdy.end(pair.data)

    def _pair(self, request: str, port: int) -> _Pair:
        return self._open.setdefault(request, _Pair(port))


class TunnelledForwarding:
    """The same inside WebSocket messages."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._socket = WebSocket(send)
        self._inner = SpdyForwarding(self._socket.send)
        self.send, self.end = self._inner.send, self._inner.end

    @property
    def left(self) -> bool:
        return self._socket.closed or self._inner.left

    def receive(self, data: bytes) -> Iterator[Wish]:
        for message in self._socket.receive(data):
            yield from self._inner.receive(message)


class ChannelForwarding:
    """Channel 2n carries port n's bytes, 2n+1 its error; each begins with the port's number. A connection's
    key is its first channel. There is no half end: a port's end is told when all ports have ended, by the
    socket's, as upstream does."""

    def __init__(self, send: Callable[[bytes], None], ports: Sequence[str]) -> None:
        self._socket = WebSocket(send)
        self._ports = [_port(port) for port in ports]
        self._ended = 0
        self._begun = False

    @property
    def left(self) -> bool:
        return self._socket.closed

    def receive(self, data: bytes) -> Iterator[Wish]:
        if not self._begun:
            self._begun = True
            for number, port in enumerate(self._ports):
                for channel in (2 * number, 2 * number + 1):
                    self._socket.send(struct.pack("<BH", channel, port))
                yield Connect(2 * number, port)
        for message in self._socket.receive(data):
            if message[1:]:
                yield Bytes(message[0], message[1:])

    def send(self, key: int, data: bytes) -> None:
        self._socket.send(bytes((key,)) + data)

    def end(self, key: int, error: str = "") -> None:
        if error:
            self._socket.send(bytes((key + 1,)) + error.encode())
        self._ended += 1
        if self._ended == len(self._ports):
            self._socket.close()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_PORT:
        raise ProtocolError(f"no port: {text[:20]!r}")
    return int(text)
