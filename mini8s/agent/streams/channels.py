"""PURE: what client and process say to each other in exec and attach (Kubernetes' remote command protocol,
v4 and v5), over WebSocket messages or SPDY streams."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from mini8s.agent.streams.errors import ProtocolError
from mini8s.agent.streams.spdy import Data, Ended, Left, Opened, Spdy
from mini8s.agent.streams.websocket import WebSocket

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
_CLOSE = 255  # v5: the client will say no more on the channel named next


@dataclass(frozen=True, slots=True)
class Wishes:
    """Which of a process's ends the client wants."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    @property
    def channels(self) -> frozenset[int]:
        wanted = {ERROR: True, STDIN: self.stdin, STDOUT: self.stdout, STDERR: self.stderr, RESIZE: self.tty}
        return frozenset(channel for channel, yes in wanted.items() if yes)


@dataclass(frozen=True, slots=True)
class Input:
    data: bytes


@dataclass(frozen=True, slots=True)
class InputEnd:
    pass


@dataclass(frozen=True, slots=True)
class Resize:
    width: int
    height: int


Said = Input | InputEnd | Resize


class Channels(Protocol):
    """`complete` once the client has opened all that it announced; `left` once it says that it goes."""

    @property
    def complete(self) -> bool: ...

    @property
    def left(self) -> bool: ...

    def receive(self, data: bytes) -> Iterator[Said]:
        """Raises ProtocolError."""

    def output(self, channel: int, data: bytes) -> None: ...

    def finish(self, status: bytes) -> None:
        """The last word: how it ended."""


class WebSocketChannels:
    """A message begins with its channel's number."""

    complete = True

    def __init__(self, send: Callable[[bytes], None], wishes: Wishes) -> None:
        self._socket = WebSocket(send)
        self._wishes = wishes
        self._socket.send(bytes((min(wishes.channels - {STDIN}),)))  # empty: the connection is there

    @property
    def left(self) -> bool:
        return self._socket.closed

    def receive(self, data: bytes) -> Iterator[Said]:
        for message in self._socket.receive(data):
            channel, said = message[:1], message[1:]
            if channel == bytes((STDIN,)) and said:
                yield Input(said)
            elif channel == bytes((RESIZE,)):
                yield _resize(said)
            elif channel == bytes((_CLOSE,)) and said == bytes((STDIN,)):
                yield InputEnd()

    def output(self, channel: int, data: bytes) -> None:
        self._socket.send(bytes((channel,)) + data)

    def finish(self, status: bytes) -> None:
        self.output(ERROR, status)
        self._socket.close()


class SpdyChannels:
    """A stream for each channel, opened by the client."""

    def __init__(self, send: Callable[[bytes], None], wishes: Wishes) -> None:
        self._spdy = Spdy(send)
        self._wanted = wishes.channels
        self._streams: dict[int, int] = {}  # channel: stream
        self._sizes = b""
        self.left = False

    @property
    def complete(self) -> bool:
        return self._wanted <= self._streams.keys()

    def receive(self, data: bytes) -> Iterator[Said]:
        for event in self._spdy.receive(data):
            match event:
                case Opened(stream, headers):
                    self._opened(stream, headers.get("streamtype", ""))
                case Data(stream, piece) if stream == self._streams.get(STDIN):
                    yield Input(piece)
                case Data(stream, piece) if stream == self._streams.get(RESIZE):
                    yield from self._resized(piece)
                case Ended(stream) if stream == self._streams.get(STDIN):
                    yield InputEnd()
                case Ended(stream, reset=True):
                    self._streams = {key: value for key, value in self._streams.items() if value != stream}
                case Left():
                    self.left = True

    def output(self, channel: int, data: bytes) -> None:
        if channel in self._streams:
            self._spdy.data(self._streams[channel], data)

    def finish(self, status: bytes) -> None:
        self.output(ERROR, status)
        for channel in (STDOUT, STDERR, ERROR):
            if channel in self._streams:
                self._spdy.end(self._streams[channel])
        self._spdy.leave()

    def _opened(self, stream: int, name: str) -> None:
        channel = _NAMES.get(name, -1)
        if channel not in self._wanted or channel in self._streams:
            raise ProtocolError(f"a stream that was not announced: {name!r}")
        self._streams[channel] = stream

    def _resized(self, piece: bytes) -> Iterator[Said]:
        """Sizes are JSON documents on lines of their own, cut anywhere."""
        *whole, self._sizes = (self._sizes + piece).split(b"\n")
        for line in filter(None, whole):
            yield _resize(line)


def _resize(text: bytes) -> Resize:
    try:
        said = json.loads(text)
        return Resize(int(said["Width"]), int(said["Height"]))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ProtocolError(f"no size of a terminal: {text[:80]!r}") from error
