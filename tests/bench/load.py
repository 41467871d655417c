"""The client side of the API benchmark: many connections, little work on each. Runs as a process on the
host and prints one JSON line.

    python -m bench.load create|get|list CONNECTIONS SECONDS SERVER-FOLDER ADDRESS
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

NAMESPACE = "/api/v1/namespaces/default/configmaps"
LISTED = "/api/v1/namespaces/listed/configmaps"
FILLER = "y" * 1800


class Line:
    """One kept-alive connection; requests are made of bytes and answers are only measured."""

    def __init__(self, context: ssl.SSLContext, address: str) -> None:
        plain = socket.create_connection((address, 6443), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = context.wrap_socket(plain, server_hostname=address)

    def ask(self, request: bytes) -> bool:
        """Send and read the whole answer; whether it was a success."""
        self._sock.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].lower()
        at = head.index(b"content-length:")
        missing = int(head[at + 15 :].split(b"\r\n", 1)[0]) - (len(data) - end - 4)
        while missing > 0:
            missing -= len(self._more())
        return head[9:10] == b"2"

    def _more(self) -> bytes:
        piece = self._sock.recv(262144)
        if not piece:
            raise ConnectionError("the server closed the connection")
        return piece


def request(verb: str, worker: int, number: int) -> bytes:
    if verb == "create":
        metadata = {"name": f"load-{time.time_ns()}-{worker}-{number}"}
        body = json.dumps({"metadata": metadata, "data": {"x": FILLER}}).encode()
        head = f"POST {NAMESPACE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    path = LISTED if verb == "list" else f"{NAMESPACE}/load"
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def work(
    line: Line, make: Callable[[int], bytes], until: float, took: list[float], failed: list[int]
) -> None:
    number = 0
    while (began := time.monotonic()) < until:
        number += 1
        if not line.ask(make(number)):
            failed.append(number)
        took.append(time.monotonic() - began)


def main(verb: str, connections: int, seconds: float, folder: Path, address: str) -> None:
    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
    context.load_cert_chain(folder / "cred" / "admin.crt", folder / "cred" / "admin.key")
    lines = [Line(context, address) for _ in range(connections)]
    took: list[float] = []
    failed: list[int] = []
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(
            target=work, args=(line, lambda number, w=worker: request(verb, w, number), until, took, failed)
        )
        for worker, line in enumerate(lines)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took.sort()
    print(
        json.dumps(
            {
                "rate": len(took) / seconds,
                "failed": len(failed),
                "p50_ms": 1000 * took[len(took) // 2],
                "p99_ms": 1000 * took[len(took) * 99 // 100],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), sys.argv[5])
