"""A socket that never waits, and what is still to be written to it; and waiting for several at once."""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress

FULL = 1 << 20  # bytes that may wait for a slow reader before whoever makes them is held up
PIECE = 256 * 1024  # bytes taken at a time
JOINED = 64 * 1024  # bytes that leave together when they wait in smaller pieces
RECORD = 16 * 1024  # bytes, the most in one of TLS
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Duct:
    """Used by one thread. Plain and TLS sockets; a TLS record fits in a piece, so nothing stays unseen inside
    the TLS layer while the kernel has no more to report. Owns the socket."""

    def __init__(self, sock: socket.socket, begun: bytes = b"") -> None:
        sock.setblocking(False)
        self.sock = sock
        self.ended = False  # the other end says no more
        self.waiting = 0  # bytes
        self._begun = begun
        self._out: deque[memoryview] = deque()
        self._finishing = False
        self._dropped = False

    @property
    def full(self) -> bool:
        return self.waiting >= FULL

    @property
    def begun(self) -> bool:
        """Whether there is something to take although the socket may be silent."""
        return bool(self._begun)

    def put(self, data: bytes) -> None:
        if data and not self._dropped:
            self._out.append(memoryview(data))
            self.waiting += len(data)

    def finish(self) -> None:
        """Say no more once all is written; what comes is still taken. Plain sockets only."""
        self._finishing = not self._dropped

    def drop(self) -> None:
        """Nobody reads at the other end any more: what waits, and all that is put later, is forgotten."""
        self._out.clear()
        self.waiting, self._finishing, self._dropped = 0, False, True

    def take(self) -> bytes:
        """What has come, b"" when nothing has or nothing will any more. Raises OSError."""
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        try:
            data = self.sock.recv(PIECE)
        except _NOT_NOW:
            return b""
        except ssl.SSLEOFError:
            data = b""
        self.ended = not data
        return self._with_more(data) if len(data) == RECORD else data

    def _with_more(self, data: bytes) -> bytes:
        """TLS gives out a record at a time: those that have come behind a full one are taken along, which
        spares a turn for each. An end or an error among them comes again when it is asked for next."""
        pieces, size = [data], len(data)
        with suppress(OSError):
            while len(data) == RECORD and size < PIECE:
                data = self.sock.recv(PIECE)
                pieces.append(data)
                size += len(data)
        return b"".join(pieces)

    def flush(self) -> None:
        """Write what can be written now. Raises OSError."""
        out = self._out
        while out:
            if len(out) > 1 and len(out[0]) < JOINED:
                self._join()
            try:
                sent = self.sock.send(out[0])
            except _NOT_NOW:
                return
            self.waiting -= sent
            if sent < len(out[0]):
                out[0] = out[0][sent:]
            else:
                out.popleft()
        if self._finishing:
            self._finishing = False
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def _join(self) -> None:
        """Small pieces leave together: each would be a call of its own, and end in a TLS record that is not
        full."""
        pieces, size = [self._out.popleft()], 0
        while self._out and (size := size + len(pieces[-1])) < JOINED:
            pieces.append(self._out.popleft())
        self._out.appendleft(memoryview(b"".join(pieces)))


def wait(wishes: Mapping[Duct, bool], seconds: float | None = None, watched: Duct | None = None) -> set[Duct]:
    """Until one of them can be gone on with: has something for whoever wants to hear it (True), or takes what
    waits for it; `watched` also when it hangs up while nobody hears it. Those are returned; none when the
    time is over."""
    if ready := {duct for duct, hears in wishes.items() if hears and duct.begun}:
        return ready
    poll, numbers = select.poll(), {}
    for duct, hears in wishes.items():
        mask = _mask(duct, hears=hears) | (select.POLLRDHUP if duct is watched else 0)
        if mask:
            number = duct.sock.fileno()
            numbers[number] = duct
            poll.register(number, mask)
    found = poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
    return {numbers[number] for number, _ in found}


def hung_up(duct: Duct) -> bool:
    """Whether the other end has hung up, though what it said before may not be read yet."""
    poll = select.poll()
    poll.register(duct.sock.fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))


def _mask(duct: Duct, *, hears: bool) -> int:
    wanted = select.POLLIN if hears and not duct.ended else 0
    return wanted | (select.POLLOUT if duct.waiting else 0)
