"""The API process by itself, over a real store: requests a second on one core, and how fast watches hear.

    python -m bench.api_process

Clients are one epoll loop in another process, made of bytes, so that they take little of the second core.
"""

from __future__ import annotations

import json
import select
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from integration.api_process import ApiProcess, running

SECONDS = 3.0
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
WATCHES, CHANGES, PAUSE = 300, 100, 0.02


def run() -> dict[str, float]:
    figures: dict[str, float] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        figures["start_to_ready_s"] = time.monotonic() - began
        figures["idle_rss_mb"] = _rss(api)
        api.ask("POST", CONFIGMAPS, _object("one"))
        one = _request("GET", f"{CONFIGMAPS}/one")
        figures["get_unix_16_per_s"] = _rate(api.unix, lambda _: one)
        figures["get_tls_16_per_s"] = _rate(api.secure, lambda _: one)
        for connections in (1, 16, 64):
            figures[f"create_unix_{connections}_per_s"] = _creates(api, connections)
        _empty(api)
        for number in range(1000):
            api.ask("POST", CONFIGMAPS, _object(f"listed-{number}", 1200))
        listing = _request("GET", CONFIGMAPS)
        figures["list_1000_ms"] = 1000 / _rate(api.unix, lambda _: listing, 1)
        figures |= _watches(api)
        figures["rss_mb_after"] = _rss(api)
    return figures


def _object(name: str, size: int = 1800) -> dict[str, object]:
    return {"metadata": {"name": name}, "data": {"x": "y" * size}}


def _request(method: str, path: str, body: object = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else b""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode() + data


def _rate(
    connect: Callable[[], socket.socket], request: Callable[[int], bytes], connections: int = 16
) -> float:
    """Answers a second: each connection sends its next request when it has its answer."""
    poll = select.epoll()
    lines = {}
    for _ in range(connections):
        sock = connect()
        lines[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    missing = dict.fromkeys(lines, 0)
    count = 0
    began = time.monotonic()
    for number, sock in enumerate(lines.values()):
        sock.sendall(request(number))
    number = connections
    while time.monotonic() - began < SECONDS:
        for descriptor, _ in poll.poll(1):
            sock = lines[descriptor]
            data = sock.recv(1 << 18)
            if not missing[descriptor]:
                end = data.index(b"\r\n\r\n") + 4
                at = data.index(b"Content-Length: ") + 16
                missing[descriptor] = int(data[at : data.index(b"\r", at)]) + end
            missing[descriptor] -= len(data)
            if not missing[descriptor]:
                count += 1
                number += 1
                sock.sendall(request(number))
    took = time.monotonic() - began
    for sock in lines.values():
        sock.close()
    poll.close()
    return count / took


def _creates(api: ApiProcess, connections: int) -> float:
    stamp = time.time_ns()
    return _rate(
        api.unix,
        lambda number: _request("POST", CONFIGMAPS, _object(f"load-{stamp}-{number}")),
        connections,
    )


def _empty(api: ApiProcess) -> None:
    api.ask("DELETE", CONFIGMAPS)


def _watches(api: ApiProcess) -> dict[str, float]:
    """Delivery from the moment a change's request leaves to the moment each watcher has read it."""
    poll = select.epoll()
    lines: dict[int, socket.socket] = {}
    path = f"{CONFIGMAPS}?watch=true&resourceVersion={_revision(api)}"
    for _ in range(WATCHES):
        sock = api.unix()
        sock.sendall(_request("GET", path))
        sock.recv(4096)
        lines[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    writer = api.unix()
    delays: list[float] = []
    for number in range(CHANGES):
        time.sleep(PAUSE)
        waiting = set(lines)
        began = time.monotonic()
        writer.sendall(_request("POST", CONFIGMAPS, _object(f"change-{number}", 100)))
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
    name = f"watch_{WATCHES}"
    return {
        f"{name}_p50_ms": 1000 * statistics.median(delays),
        f"{name}_p99_ms": 1000 * delays[len(delays) * 99 // 100],
    }


def _revision(api: ApiProcess) -> str:
    revision: str = api.ask("GET", f"{CONFIGMAPS}?limit=1")[1]["metadata"]["resourceVersion"]
    return revision


def _rss(api: ApiProcess) -> float:
    lines = Path(f"/proc/{api.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


if __name__ == "__main__":
    print("\n".join(f"{name:<28} {value:>10.2f}" for name, value in run().items()))
