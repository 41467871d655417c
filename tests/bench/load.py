"""The client side of the API benchmarks: many connections on one epoll loop on a core of its own, made of
bytes, so that it takes little of the machine that the server runs on too. Prints its outcome as JSON.

    python -m bench.load VERB CONNECTIONS SECONDS SERVER-PID FOLDER PORT

PORT 0 is the unix socket. What a verb needs to be there is made before the clocks start.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from bench import processes
from bench.api_alone import CLIENT_CORE, Door

MAPS = "/api/v1/namespaces/default/configmaps"
FILLER = "y" * 1500
DELETED = 6_000  # objects made to be deleted again

Make = Callable[[int], Iterator[bytes]]


@dataclass(slots=True)
class Load:
    """What came of it: how many answers, how many of them no success; seconds of wall clock, of the server's
    processor and of this process's; and how long an answer took at the median and at the 99th percentile."""

    answers: int
    failed: int
    seconds: float
    server: float
    client: float
    p50: float
    p99: float


class Line:
    """One kept-alive connection; of an answer only its status and length are looked at."""

    __slots__ = ("_head", "_missing", "_receive", "_send", "began", "sock", "success")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.began = 0.0
        self.success = False
        # Below SSLSocket's own methods, which are Python and cost as much as the rest of this class.
        secure = getattr(sock, "_sslobj", None)
        self._send: Callable[[bytes], int | None] = secure.write if secure else sock.sendall
        self._receive: Callable[[int], bytes] = secure.read if secure else sock.recv
        self._head = b""
        self._missing = 0

    def ask(self, request: bytes) -> None:
        self.began = time.monotonic()
        self._send(request)

    def answered(self) -> bool:
        """Take what has come; whether the answer is whole."""
        piece = self._receive(1 << 18)
        if not piece:
            raise ConnectionError("the server closed the connection")
        if self._missing:
            self._missing -= len(piece)
            return not self._missing
        head = self._head + piece if self._head else piece
        end = head.find(b"\r\n\r\n")
        if end < 0:
            self._head = head
            return False
        at = head.index(b"Content-Length:") + 15
        self._missing = int(head[at : head.index(b"\r", at)]) - (len(head) - end - 4)
        self.success, self._head = head[9:10] == b"2", b""
        return not self._missing


def drive(socks: Iterable[socket.socket], requests: Iterator[bytes], seconds: float, server: int = 0) -> Load:
    """Keep every connection busy: each sends its next request once it has its answer. Ends when the time is
    over or nothing is left to ask, and closes the connections."""
    lines = {sock.fileno(): Line(sock) for sock in socks}
    took: list[float] = []
    failed = 0
    with select.epoll() as poll:
        for descriptor in lines:
            poll.register(descriptor, select.EPOLLIN)
        used, own = _used(server), time.process_time()
        began = now = time.monotonic()
        waiting = sum(_ask(line, requests) for line in lines.values())
        while waiting and now < began + seconds:
            for descriptor, _ in poll.poll(10):
                line = lines[descriptor]
                if line.answered():
                    now = time.monotonic()
                    took.append(now - line.began)
                    failed += not line.success
                    waiting -= not _ask(line, requests)
        wall = time.monotonic() - began
        used, own = _used(server) - used, time.process_time() - own
    for line in lines.values():
        line.sock.close()
    took.sort()
    return Load(len(took), failed, wall, used, own, took[len(took) // 2], took[len(took) * 99 // 100])


def _ask(line: Line, requests: Iterator[bytes]) -> bool:
    request = next(requests, None)
    if request is not None:
        line.ask(request)
    return request is not None


def _used(server: int) -> float:
    return processes.cpu_seconds(server) if server else 0.0


def request(method: str, path: str, body: bytes = b"") -> bytes:
    kind = "merge-patch+json" if method == "PATCH" else "json"
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/{kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def configmap(name: str, filler: str = FILLER) -> bytes:
    return b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"%s"},"data":{"x":"%s"}}' % (
        name.encode(), filler.encode(),
    )  # fmt: skip


def creates(names: Iterable[str]) -> Iterator[bytes]:
    return (request("POST", MAPS, configmap(name)) for name in names)


def requests_of(verb: str, connect: Callable[[], socket.socket], connections: int) -> Iterator[bytes]:
    """The requests of a verb, once what they speak of is there."""
    stamp = f"{verb}-{time.time_ns()}"
    if verb == "create":
        return creates(f"{stamp}-{number}" for number in count())
    if verb.startswith("list"):
        same = request("GET", f"/api/v1/namespaces/{verb}/configmaps")
        return (same for _ in count())
    names = [f"{stamp}-{number}" for number in range(DELETED if verb == "delete" else max(connections, 16))]
    made = drive([connect() for _ in range(16)], creates(names), 60)
    if made.failed or made.answers != len(names):
        raise RuntimeError(f"{made.failed} of {made.answers} objects could not be made")
    return _on(verb, names)


def _on(verb: str, names: list[str]) -> Iterator[bytes]:
    """Requests on objects that are there, in turn."""
    if verb == "delete":
        return (request("DELETE", f"{MAPS}/{name}") for name in names)
    around = ((names[number % len(names)], number) for number in count())
    if verb == "get":
        asked = {name: request("GET", f"{MAPS}/{name}") for name in names}
        return (asked[name] for name, _ in around)
    if verb == "patch":
        said = b'{"data":{"changed":"%d"}}'
        return (request("PATCH", f"{MAPS}/{name}", said % number) for name, number in around)
    return (
        request("PUT", f"{MAPS}/{name}", configmap(name, f"{number:08}{FILLER}")) for name, number in around
    )


def main(verb: str, connections: int, seconds: float, server: int, door: Door) -> None:
    os.sched_setaffinity(0, {CLIENT_CORE})
    requests = requests_of(verb, door.connect, connections)
    load = drive([door.connect() for _ in range(connections)], requests, seconds, server)
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    _, what, lines, time_, pid, folder, port_ = sys.argv
    main(what, int(lines), float(time_), int(pid), Door(Path(folder), int(port_)))
