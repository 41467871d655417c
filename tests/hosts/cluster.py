"""mini8s on test hosts: starts servers and agents there, asks them with kubectl and curl, ends them by
process id.

with Hosts() as hosts, Cluster(hosts.up(2)) as cluster:
    cluster.server(1)
    cluster.agent(2)
    cluster.wait_ready("h1", "h2")
    cluster.kubectl("get", "nodes")
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hosts.ending import in_process_group
from hosts.host import Host

MINI8S = str(Path(sys.executable).with_name("mini8s"))
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Program:
    """A server or an agent that runs on a host; it leads a process group with its children."""

    host: Host
    process: subprocess.Popen[Any]
    log: Path

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM; its exit code. Raises TimeoutExpired when it takes longer than it may."""
        self.process.terminate()
        return self.process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL to it and its children at once, as a crash of the machine's memory would; returns when all
        of them are gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        deadline = time.monotonic() + 60
        while left := in_process_group(self.process.pid):
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes do not end: {sorted(left)}")
            time.sleep(0.02)

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def last_lines(self, count: int = 25) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join([f"--- {self.log}", *lines])


class Cluster:
    """Servers and agents on hosts. What it started it ends, also after a failure."""

    def __init__(self, hosts: Sequence[Host], images: Sequence[Path] = ()) -> None:
        self.hosts = {host.number: host for host in hosts}
        self.programs: dict[int, Program] = {}
        self.environment: dict[str, str] = {}  # of what is started from now on
        self.wrapped_in: tuple[str, ...] = ()  # a command that starts others, in front of theirs
        self.server_number = min(self.hosts)
        for host in hosts:
            _provide(images, host.data / "agent" / "images")

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs.values():
            program.kill()

    def server(self, number: int = 1, *flags: str) -> Program:
        """Start `mini8s server`; returns at once."""
        self.server_number = number
        return self._start(number, "server", *flags)

    def agent(self, number: int, *flags: str) -> Program:
        """Start `mini8s agent` with the server's token; returns at once."""
        server = self.hosts[self.server_number]
        token = f"--token-file={server.data}/server/node-token"
        return self._start(number, "agent", f"--server=https://{server.ip}:6443", token, *flags)

    def _start(self, number: int, *command: str) -> Program:
        host = self.hosts[number]
        log = host.folder / "mini8s.log"
        with log.open("ab") as output:
            process = host.popen(
                *self.wrapped_in,
                MINI8S,
                *command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=self.environment,
                cwd="/",  # as a service's; `python -m` would look for mini8s here first
            )
        self.programs[number] = Program(host, process, log)
        return self.programs[number]

    def kubectl(self, *arguments: str, on: int | None = None, stdin: str = "", timeout: float = 180) -> str:
        """What kubectl printed on a host, the server's own unless said otherwise. Raises HostError."""
        return self.hosts[on or self.server_number].run(
            *self.kubectl_command(*arguments), stdin=stdin, timeout=timeout
        )

    def kubectl_command(self, *arguments: str) -> list[str]:
        """The command line, for tests that need the process. Discovery is cached with the cluster, not with
        the user."""
        folder = self.hosts[self.server_number].folder
        return ["kubectl", f"--kubeconfig={folder}/kubeconfig", f"--cache-dir={folder}/kubectl", *arguments]

    def get(self, *arguments: str) -> Any:
        """An object or a list as kubectl gets it."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def curl(self, *arguments: str, on: int | None = None, timeout: float = 10) -> str:
        """What curl printed on a host; empty when it failed."""
        host = self.hosts[on or self.server_number]
        return host.call("curl", "-s", "--max-time", str(timeout), *arguments, timeout=timeout + 5).stdout

    def api(self, path: str, *arguments: str) -> str:
        """What the API answers through root's own door."""
        socket = self.hosts[self.server_number].data / "server" / "api.sock"
        return self.curl("--unix-socket", str(socket), *arguments, f"http://mini8s{path}")

    def ready_nodes(self) -> set[str]:
        answer = self.api("/api/v1/nodes")
        nodes = json.loads(answer).get("items", []) if answer.startswith("{") else []
        return {node["metadata"]["name"] for node in nodes if _is_ready(node)}

    def wait_ready(self, *names: str, seconds: float = 180) -> None:
        """Until these nodes are Ready."""
        self.wait_for(f"{names} to be Ready", lambda: set(names) <= self.ready_nodes(), seconds=seconds)

    def wait_for(self, what: str, look: Callable[[], T], *, seconds: float = 120, pause: float = 0.1) -> T:
        """Look until there is something; fails with the programs' last lines."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            if time.monotonic() > deadline:
                logs = "\n".join(program.last_lines() for program in self.programs.values())
                raise AssertionError(f"waited {seconds:.0f} s in vain for {what}\n{logs}")
            time.sleep(pause)
        return seen


def _provide(images: Sequence[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in images:
        (folder / path.name).write_bytes(path.read_bytes())


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
