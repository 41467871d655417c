"""The API process by itself, over a real store: requests a second on one core, and how fast watches hear.

    python -m bench.api_process

The clients (`bench.load`) and the server have a core each.
"""

from __future__ import annotations

import select
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from integration.api_process import ApiProcess, running

from bench.figure import Figure, rate
from bench.load import NAMESPACE as CONFIGMAPS
from bench.load import configmap, drive, request, requests_of

SECONDS = 3.0
WATCHES, CHANGES, PAUSE = 300, 100, 0.02


def run() -> Iterator[Figure]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        yield Figure("start to ready", time.monotonic() - began, "s")
        yield Figure("resident, idle", _rss(api), "MB")
        api.ask("POST", CONFIGMAPS, configmap("one"))
        one = request("GET", f"{CONFIGMAPS}/one")
        yield _rate("get, unix socket", api.unix, lambda _: one)
        yield _rate("get, TLS", api.secure, lambda _: one)
        for connections in (1, 16, 64):
            yield _rate("create, unix socket", api.unix, requests_of("create"), connections)
        _empty(api)
        for number in range(1000):
            api.ask("POST", CONFIGMAPS, configmap(f"listed-{number}", 1200))
        listing = request("GET", CONFIGMAPS)
        yield _rate("list of 1000 objects, unix socket", api.unix, lambda _: listing, 1)
        yield _watches(api)
        yield Figure("resident after all that", _rss(api), "MB")


def _rate(
    name: str, connect: Callable[[], socket.socket], make: Callable[[int], bytes], connections: int = 16
) -> Figure:
    load = drive([connect() for _ in range(connections)], make, SECONDS)
    assert not load.failed, f"{load.failed} requests failed"
    return rate(f"{name}, {connections} at a time", load.took, SECONDS)


def _empty(api: ApiProcess) -> None:
    api.ask("DELETE", CONFIGMAPS)


def _watches(api: ApiProcess) -> Figure:
    """Delivery from the moment a change's request leaves to the moment each watcher has read it."""
    poll = select.epoll()
    lines: dict[int, socket.socket] = {}
    path = f"{CONFIGMAPS}?watch=true&resourceVersion={_revision(api)}"
    for _ in range(WATCHES):
        sock = api.unix()
        sock.sendall(request("GET", path))
        sock.recv(4096)
        lines[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    writer = api.unix()
    delays: list[float] = []
    for number in range(CHANGES):
        time.sleep(PAUSE)
        waiting = set(lines)
        began = time.monotonic()
        writer.sendall(request("POST", CONFIGMAPS, configmap(f"change-{number}", 100)))
        while waiting:
            for descriptor, _ in poll.poll(5):
                lines[descriptor].recv(1 << 16)
                delays.append(time.monotonic() - began)
                waiting.discard(descriptor)
        writer.recv(1 << 16)
    for sock in (*lines.values(), writer):
        sock.close()
    poll.close()
    delays.sort()
    p99 = f"p50; p99 {1000 * delays[len(delays) * 99 // 100]:.1f} ms"
    return Figure(f"a change to {WATCHES} watches", 1000 * statistics.median(delays), "ms", p99)


def _revision(api: ApiProcess) -> str:
    revision: str = api.ask("GET", f"{CONFIGMAPS}?limit=1")[1]["metadata"]["resourceVersion"]
    return revision


def _rss(api: ApiProcess) -> float:
    lines = Path(f"/proc/{api.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    for figure in run():
        print(figure.line(), flush=True)
