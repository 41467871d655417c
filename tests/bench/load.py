"""The client side of the API benchmarks: many connections on one epoll loop, made of bytes, so that they take
little of the machine that the server runs on too. Runs as a process on the host and prints the seconds that
each answer took, as JSON.

    python -m bench.load create|get|list CONNECTIONS SECONDS SERVER-FOLDER ADDRESS
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

NAMESPACE = "/api/v1/namespaces/default/configmaps"
LISTED = "/api/v1/namespaces/listed/configmaps"
FILLER = "y" * 1800


@dataclass(slots=True)
class Load:
    """What came of it: the seconds that each answer took, and how many were no success."""

    took: list[float] = field(default_factory=list)
    failed: int = 0


class Line:
    """One kept-alive connection; of an answer only its status and length are looked at."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.began = 0.0
        self.success = False
        self._head = b""
        self._missing = 0

    def ask(self, request: bytes) -> None:
        self.began = time.monotonic()
        self.sock.sendall(request)

    def answered(self) -> bool:
        """Take what has come; whether the answer is whole."""
        piece = self.sock.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server closed the connection")
        if self._missing:
            self._missing -= len(piece)
            return not self._missing
        self._head += piece
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._head[:end].lower()
        at = head.index(b"content-length:") + 15
        self._missing = int(head[at:].split(b"\r\n", 1)[0]) - (len(self._head) - end - 4)
        self.success, self._head = head[9:10] == b"2", b""
        return not self._missing


def drive(socks: Iterable[socket.socket], make: Callable[[int], bytes], seconds: float) -> Load:
    """Keep every connection busy: each sends its next request once it has its answer. Closes them."""
    lines = {sock.fileno(): Line(sock) for sock in socks}
    load = Load()
    with select.epoll() as poll:
        for number, (descriptor, line) in enumerate(lines.items()):
            poll.register(descriptor, select.EPOLLIN)
            line.ask(make(number))
        number, until = len(lines), time.monotonic() + seconds
        while time.monotonic() < until:
            for descriptor, _ in poll.poll(1):
                line = lines[descriptor]
                if line.answered():
                    load.took.append(time.monotonic() - line.began)
                    load.failed += not line.success
                    number += 1
                    line.ask(make(number))
    for line in lines.values():
        line.sock.close()
    return load


def request(method: str, path: str, body: object = None) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode() + data


def configmap(name: str, size: int = len(FILLER)) -> dict[str, object]:
    return {"metadata": {"name": name}, "data": {"x": FILLER[:size]}}


def requests_of(verb: str) -> Callable[[int], bytes]:
    """What makes the request of a number."""
    if verb == "create":
        stamp = time.time_ns()
        return lambda number: request("POST", NAMESPACE, configmap(f"load-{stamp}-{number}"))
    same = request("GET", LISTED if verb == "list" else f"{NAMESPACE}/load")
    return lambda _: same


def connect(folder: Path, address: str) -> socket.socket:
    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
    context.load_cert_chain(folder / "cred" / "admin.crt", folder / "cred" / "admin.key")
    plain = socket.create_connection((address, 6443), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=address)


def main(verb: str, connections: int, seconds: float, folder: Path, address: str) -> None:
    load = drive([connect(folder, address) for _ in range(connections)], requests_of(verb), seconds)
    if load.failed:
        sys.exit(f"{load.failed} of {len(load.took)} requests failed")
    print(json.dumps(load.took))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
