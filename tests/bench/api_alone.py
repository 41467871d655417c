"""The API of `mini8s server` without what else the server runs: its parent, and of its children the api.

Everything is as in a server (certificates, first objects, what the parent loads before it forks), but nobody
else asks for anything, so that the figures are the API's own. Listens on loopback only.

    python -m bench.api_alone CORE FLAG…
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mini8s.app.layout import server_files

SERVER_CORE = 0
CLIENT_CORE = max(os.sched_getaffinity(0))  # another one, where there is one
START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Door:
    """How to come in: over TLS when there is a port, else as root by the unix socket."""

    folder: Path
    port: int = 0

    def connect(self) -> socket.socket:
        files = server_files(str(self.folder))
        if not self.port:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(30)
            sock.connect(str(files.socket))
            return sock
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.admin, files.admin_key)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    @property
    def name(self) -> str:
        return "TLS" if self.port else "unix"


@dataclass(frozen=True, slots=True)
class ApiAlone:
    """`ready` is how many seconds it took from its start to an answer that it is ready."""

    folder: Path
    parent: int
    pid: int
    port: int
    ready: float

    @property
    def doors(self) -> tuple[Door, Door]:
        return Door(self.folder), Door(self.folder, self.port)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return _ask(Door(self.folder), method, path, body)


@contextmanager
def running(folder: Path) -> Iterator[ApiAlone]:
    port = _free_port()
    flags = {
        "data-dir": folder, "node-name": "h1", "node-ip": "192.0.2.1", "bind-address": "127.0.0.1",
        "https-listen-port": port, "write-kubeconfig": folder / "kubeconfig",
        "config": folder / "config.yaml",
    }  # fmt: skip
    (folder / "config.yaml").write_text("disable-agent: true\nlog-level: warning\n")
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.api_alone", str(SERVER_CORE)]
        + [f"--{name}={value}" for name, value in flags.items()]
    )
    try:
        ready = _wait_ready(Door(folder), process, began)
        child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        yield ApiAlone(folder, process.pid, child, port, ready)
    finally:
        process.terminate()
        process.wait(20)


def _wait_ready(door: Door, process: subprocess.Popen[bytes], began: float) -> float:
    while time.monotonic() - began < START_SECONDS:
        if process.poll() is not None:
            break
        try:
            if _ask(door, "GET", "/readyz") == "ok":
                return time.monotonic() - began
        except OSError:
            time.sleep(0.005)
    raise RuntimeError("the API did not start")


def _ask(door: Door, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("api")
    connection.sock = door.connect()
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: {text.decode()}")
    return json.loads(text) if "json" in answer.headers["Content-Type"] else text.decode()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def main(core: int, flags: list[str]) -> None:
    from mini8s.app import server  # noqa: PLC0415  the load, which uses this module too, does without
    from mini8s.cli.main import cli  # noqa: PLC0415

    os.sched_setaffinity(0, {core})
    whole = server.children
    server.children = lambda settings, news: whole(settings, news)[:1]
    cli(["server", *flags])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
