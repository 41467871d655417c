"""Requests at a steady rate, each on a connection of its own, whatever becomes of those before: run on a host
as a process, one thread with many sockets.

python load.py ADDRESS PORT RATE          until SIGTERM; then one JSON line, the fields of `Load`
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from hosts import Host

PATIENCE_SECONDS = 10.0  # after which a request has failed
_REQUEST = b"GET /healthz HTTP/1.0\r\n\r\n"


@dataclass
class Load:
    """What came of the requests; filled in when the stream has ended."""

    answered: int = 0
    seconds: float = 0.0
    slowest: float = 0.0  # seconds from the first packet to the whole answer
    slowest_connection: float = 0.0
    sent_again: int = 0  # connections whose first packet was lost
    failures: list[str] = field(default_factory=list)

    def line(self) -> str:
        rate = self.answered / max(self.seconds, 1e-9)
        return (
            f"{self.answered:,} answered in {self.seconds:.0f} s ({rate:,.0f}/s), "
            f"{len(self.failures)} failed, "
            f"slowest connection {self.slowest_connection:.3f} s, slowest answer {self.slowest:.3f} s"
        )


@contextmanager
def load(host: Host, address: str, port: int, rate: int) -> Iterator[Load]:
    """Ask from that host while the block runs."""
    seen = Load()
    environment = {"PYTHONPATH": ":".join(sys.path)}
    words = (sys.executable, __file__, address, str(port), str(rate))
    process = host.popen(*words, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield seen
    finally:
        process.terminate()
        for name, value in json.loads(process.communicate(timeout=3 * PATIENCE_SECONDS)[0]).items():
            setattr(seen, name, value)


@dataclass
class _Request:
    sock: socket.socket
    began: float
    connected: float = 0.0
    got: bytes = b""


class _Generator:
    def __init__(self, address: tuple[str, int], rate: int) -> None:
        self._address, self._rate = address, rate
        self._open: dict[int, _Request] = {}
        self._selector = selectors.DefaultSelector()
        self.said = Load()

    def run(self, ended: list[int]) -> None:
        """A new request each time one is due; after the end those under way may finish."""
        began, sent = time.monotonic(), 0
        while not ended or self._open:
            now = time.monotonic()
            while not ended and sent < (now - began) * self._rate:
                self._ask(now)
                sent += 1
            for key, _ in self._selector.select(0.5 / self._rate if not ended else 0.05):
                self._go_on(self._open[key.fd])
            self._give_up(time.monotonic())
            if not ended:
                self.said.seconds = now - began

    def _ask(self, now: float) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        request = self._open[sock.fileno()] = _Request(sock, now)
        sock.connect_ex(self._address)
        self._selector.register(sock, selectors.EVENT_WRITE)
        request.began = time.monotonic()

    def _go_on(self, request: _Request) -> None:
        try:
            if not request.connected:
                if number := request.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise OSError(number, "connect")
                request.connected = time.monotonic()
                self.said.sent_again += _sent_again(request.sock)
                request.sock.send(_REQUEST)
                self._selector.modify(request.sock, selectors.EVENT_READ)
            elif piece := request.sock.recv(4096):
                request.got += piece
            else:
                self._end(request, "" if b" 200 " in request.got else f"answered {request.got[:40]!r}")
        except OSError as error:
            self._end(request, repr(error))

    def _give_up(self, now: float) -> None:
        for request in [one for one in self._open.values() if now - one.began > PATIENCE_SECONDS]:
            self._end(request, "connected and not answered" if request.connected else "not connected")

    def _end(self, request: _Request, failure: str) -> None:
        took = time.monotonic() - request.began
        self._selector.unregister(request.sock)
        del self._open[request.sock.fileno()]
        request.sock.close()
        connection = (request.connected or time.monotonic()) - request.began
        self.said.slowest_connection = max(self.said.slowest_connection, connection)
        if failure:
            self.said.failures.append(f"{failure} after {took:.3f} s")
            return
        self.said.answered += 1
        self.said.slowest = max(self.said.slowest, took)


def _sent_again(sock: socket.socket) -> bool:
    """Whether something had to be sent again to connect: tcpi_total_retrans of tcp(7)'s TCP_INFO."""
    return struct.unpack_from("I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100) != (0,)


def main(address: str, port: int, rate: int) -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    generator = _Generator((address, port), rate)
    generator.run(ended)
    print(json.dumps(asdict(generator.said)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
