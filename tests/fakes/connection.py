"""`api.connection`'s contracts without sockets: a stream that takes as much as it is told to."""

from __future__ import annotations

from collections.abc import Callable

from mini8s.api.connection import Peer, Socket


class FakeStream:
    """`room`: bytes it takes before it is full (None: any). `hold`: how often `wait` comes back unended."""

    def __init__(self, room: int | None = None, hold: int = 0) -> None:
        self.written = b""
        self.room = room
        self.closed = False
        self.waits: list[float] = []
        self.on_wait: Callable[[], None] = lambda: None
        self._hold = hold
        self._writable: Callable[[], None] | None = None
        self._gone: Callable[[], None] | None = None
        self._refused = b""

    def write(self, data: bytes) -> int:
        if self.closed:
            raise BrokenPipeError
        assert data.startswith(self._refused), "TLS wants the same bytes again"
        taken = len(data) if self.room is None else min(self.room, len(data))
        self.written += data[:taken]
        self._refused = b"" if taken else data
        if self.room is not None:
            self.room -= taken
        return taken

    def give_room(self, room: int | None) -> None:
        self.room = room
        if self._writable is not None:
            self._writable()

    def hang_up(self) -> None:
        assert self._gone is not None
        self._gone()

    def when_writable(self, callback: Callable[[], None] | None) -> None:
        self._writable = callback

    def when_gone(self, callback: Callable[[], None]) -> None:
        self._gone = callback

    def close(self) -> None:
        self.closed = True

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.on_wait()
        self._hold -= 1
        return self.closed or self._hold < 0


class FakeConnection:
    def __init__(self, peer: Peer | None = None, stream: FakeStream | None = None) -> None:
        self._peer = peer or Peer()
        self.stream = stream or FakeStream()
        self.taken = False

    @property
    def peer(self) -> Peer:
        return self._peer

    def take_stream(self) -> FakeStream:
        self.taken = True
        return self.stream

    def take_socket(self) -> Socket:
        raise NotImplementedError("no test without a server takes a socket")

    def lives(self) -> bool:
        return True

    def when_gone(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.stream.when_gone(callback)
        return lambda: None
