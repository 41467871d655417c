"""Many watches of one kind on one epoll loop, and changes at an even pace: how long each takes from the
moment its request leaves until each watcher has read it. Prints its outcome as JSON.

    python -m bench.watchers WATCHES CHANGES-A-SECOND SECONDS SERVER-PID FOLDER PORT
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import processes
from bench.api_alone import CLIENT_CORE, Door
from bench.load import MAPS, configmap, request

WRITERS = 16  # connections that the changes come on in turn, as they come from many clients


class Watcher:
    """Events are told apart by counting line ends: they come in order, and JSON has none inside. Chunks,
    which may hold several events, end theirs with a carriage return too."""

    __slots__ = ("_last", "_receive", "seen", "sock")

    def __init__(self, door: Door, revision: str) -> None:
        self.sock = door.connect()
        secure = getattr(self.sock, "_sslobj", None)
        self._receive: Callable[[int], bytes] = secure.read if secure else self.sock.recv
        self.sock.sendall(request("GET", f"{MAPS}?watch=true&resourceVersion={revision}"))
        head = self.sock.recv(4096)
        if not (head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n")):
            raise RuntimeError(f"no watch: {head!r}")
        self.seen = 0
        self._last = b""

    def events(self) -> tuple[int, int]:
        """How many were whole before and are now."""
        before = self.seen
        data = self._receive(1 << 16)
        if not data:
            raise ConnectionError("the server cut a watch off")
        data, self._last = self._last + data, data[-1:]
        self.seen += data.count(b"\n") - data.count(b"\r\n") - (data[:1] == b"\n")
        return before, self.seen


def deliveries(watchers: list[Watcher], writer: Door, rate: int, seconds: float) -> list[float]:
    """The delay of each delivery: a watcher's n-th event is the n-th change, give or take a few that were
    under way together. The changes come at their time, however late the last one's answers are."""
    by_descriptor = {watcher.sock.fileno(): watcher for watcher in watchers}
    sent: list[float] = []
    delays: list[float] = []
    lines = [writer.connect() for _ in range(WRITERS)]
    answers = {line.fileno(): line for line in lines}
    total = int(rate * seconds)
    began = time.monotonic()
    with select.epoll() as poll:
        for descriptor in (*by_descriptor, *answers):
            poll.register(descriptor, select.EPOLLIN)
        while len(delays) < total * len(watchers):
            now = time.monotonic()
            if len(sent) < total and now >= began + len(sent) / rate:
                lines[len(sent) % WRITERS].sendall(
                    request("POST", MAPS, configmap(f"change-{time.time_ns()}"))
                )
                sent.append(now)
            pause = began + len(sent) / rate - now if len(sent) < total else 10.0
            for descriptor, _ in poll.poll(max(0.0, pause), 64):
                if descriptor in answers:
                    answers[descriptor].recv(1 << 16)
                    continue
                before, after = by_descriptor[descriptor].events()
                now = time.monotonic()
                delays += [now - sent[event] for event in range(before, after)]
    return delays


def main(watches: int, rate: int, seconds: float, server: int, door: Door) -> None:
    os.sched_setaffinity(0, {CLIENT_CORE})
    revision = _revision(door)
    watchers = [Watcher(door, revision) for _ in range(watches)]
    used, own, began = processes.cpu_seconds(server), time.process_time(), time.monotonic()
    delays = sorted(deliveries(watchers, Door(door.folder), rate, seconds))
    wall = time.monotonic() - began
    said = {
        "p50": delays[len(delays) // 2],
        "p99": delays[len(delays) * 99 // 100],
        "server": (processes.cpu_seconds(server) - used) / wall,
        "client": (time.process_time() - own) / wall,
        "rate": len(delays) / wall,
    }
    print(json.dumps(said))


def _revision(door: Door) -> str:
    sock = door.connect()
    sock.sendall(request("GET", f"{MAPS}?limit=1"))
    answer = sock.recv(1 << 16)
    sock.close()
    revision: str = json.loads(answer.partition(b"\r\n\r\n")[2])["metadata"]["resourceVersion"]
    return revision


if __name__ == "__main__":
    _, watches_, rate_, seconds_, pid, folder, port_ = sys.argv
    main(int(watches_), int(rate_), float(seconds_), int(pid), Door(Path(folder), int(port_)))
