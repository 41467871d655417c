"""The API process for tests and benchmarks: certificates made on the spot, started, waited for, ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mini8s.wire import tls

SERVER = Path(__file__).with_name("api_server.py")
USERS = {
    "admin": tls.Leaf("system:admin", ("system:masters",)),
    "node": tls.Leaf("system:node:n1", ("system:nodes",)),
    "other-node": tls.Leaf("system:node:n2", ("system:nodes",)),
    "jane": tls.Leaf("jane", ("developers",)),
}


@dataclass
class ApiProcess:
    folder: Path
    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def socket_path(self) -> str:
        return str(self.folder / "api.sock")

    def unix(self) -> socket.socket:
        """Waits while the server's backlog is full: with a time-out of Python's, connect(2) fails with EAGAIN
        then."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 60, 0))
            sock.connect(self.socket_path)
        except OSError:
            sock.close()
            raise
        sock.settimeout(60)
        return sock

    def secure(self, user: str = "admin") -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if user:
            context.load_cert_chain(self.folder / f"{user}.crt", self.folder / f"{user}.key")
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        try:
            return context.wrap_socket(plain, server_hostname="127.0.0.1")
        except OSError:
            plain.close()
            raise

    def ask(
        self, method: str, path: str, body: Any = None, *, user: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """One request: as root over the unix socket, or over TLS as a user ("" for nobody)."""
        connection = http.client.HTTPConnection("api")
        connection.sock = self.unix() if user is None else self.secure(user)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if isinstance(body, dict | list) else body
        try:
            connection.request(method, path, data, {"Content-Type": "application/json", **named})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, json.loads(text) if is_json else text.decode()

    def forget(self) -> None:
        """Compact the store, so that every revision up to now is gone."""
        before = self.ask("GET", "/api/v1/namespaces?limit=1")[1]["metadata"]["resourceVersion"]
        self.ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"generateName": "after-"}})
        self.process.send_signal(signal.SIGUSR1)
        exactly = f"/api/v1/namespaces?resourceVersion={before}&resourceVersionMatch=Exact"
        until = time.monotonic() + 60
        while self.ask("GET", exactly)[0] != 410:
            if time.monotonic() > until:
                raise TimeoutError("nothing has been compacted")
            time.sleep(0.01)

    def stop(self, seconds: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def make_certificates(folder: Path) -> None:
    now = datetime.now(UTC)
    ca = tls.new_ca("test", now)
    (folder / "ca.crt").write_bytes(ca.certificate)
    foreign = tls.new_ca("test", now)  # of the same name
    made = {
        "foreign": tls.issue(foreign, USERS["admin"], now),
        "ended": tls.issue(ca, USERS["admin"], now - 2 * tls.LEAF_LIFE),
    }
    leaves = {"server": tls.Leaf("mini8s", addresses=("127.0.0.1", "localhost")), **USERS}
    made |= {name: tls.issue(ca, leaf, now) for name, leaf in leaves.items()}
    for name, pair in made.items():
        (folder / f"{name}.crt").write_bytes(pair.certificate)
        (folder / f"{name}.key").write_bytes(pair.key)


def free_port() -> int:
    """Below those that the kernel gives to clients: none of them gets it before the server does, or while it
    is started again."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def start(folder: Path, port: int, *options: str) -> ApiProcess:
    """It ends with who started it."""
    command = ["setpriv", "--pdeathsig=KILL", sys.executable, str(SERVER), str(folder), str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    api = ApiProcess(folder, port, process)
    if process.stdout is None or process.stdout.readline() != "ready\n":
        process.kill()
        process.communicate()
        raise RuntimeError("the API process did not start")
    return api


@contextlib.contextmanager
def running(folder: Path, *options: str) -> Iterator[ApiProcess]:
    """An API process with a `default` namespace, on a free port of loopback."""
    make_certificates(folder)
    api = start(folder, free_port(), *options)
    try:
        api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
        yield api
    finally:
        if api.process.poll() is None:
            api.stop()
        if api.process.stdout is not None:
            api.process.stdout.close()
