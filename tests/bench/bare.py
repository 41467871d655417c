"""What pods are measured against: `docker run` of the same image, and Docker's own calls.

What the owner of a small host has without mini8s is Docker as its package installs it, so a second host runs
such an engine, with bridge and packet filter: its containers get an address, a route and a veth, as a pod
does. The hosts' own engines do none of that. They tell how quick Docker is when it leaves the network alone,
and what its calls alone take, asked as a program asks: no design in which a container of Docker stands for
each container of a pod can be quicker than those.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hosts import Host
from hosts.door import Door

from mini8s.agent.runtime.docker import bodies
from mini8s.agent.runtime.specs import ContainerSpec, SandboxSpec

IMAGE = "mini8s-busybox:1"
COMMAND = ("sleep", "600")
SANDBOX_IMAGE = "mini8s/pause"
STOCK_HOST = 2


def stock_host(beside: Host, archives: Sequence[Path]) -> Host:
    """A host whose engine is as a package installs it. It goes with its set."""
    host = Host(beside.place, STOCK_HOST)
    host.start(stock=True)
    host.wait()
    for archive in archives:
        host.docker("load", "--input", str(archive))
    return host


def docker_run(host: Host, *flags: str) -> float:
    began = time.monotonic()
    container = host.docker("run", "--detach", *flags, IMAGE, *COMMAND).strip()
    seconds = time.monotonic() - began
    host.docker("rm", "--force", container)
    return seconds


class Calls:
    """Docker's API on a host, with the bodies that the agent sends. Needs the image of a sandbox there."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._sandbox_image = host.docker(
            "images", "--format={{.Repository}}:{{.Tag}}", SANDBOX_IMAGE
        ).strip()
        self._made = 0

    def one(self) -> float:
        """Create and start a container in the namespaces of one that runs, as with sandboxes made
        beforehand."""
        sandbox = self._create(self._sandbox())
        self._start(sandbox)
        began = time.monotonic()
        container = self._create(self._container(sandbox))
        self._start(container)
        seconds = time.monotonic() - began
        self._remove(container, sandbox)
        return seconds

    def pair(self) -> float:
        """A sandbox and its container, which is created while the sandbox starts."""
        with ThreadPoolExecutor(1) as beside:
            began = time.monotonic()
            sandbox = self._create(self._sandbox())
            started = beside.submit(self._start, sandbox)
            container = self._create(self._container(sandbox))
            started.result()
            self._start(container)
            seconds = time.monotonic() - began
        self._remove(container, sandbox)
        return seconds

    def _sandbox(self) -> bodies.Body:
        self._made += 1
        spec = SandboxSpec("default", "bare", f"bare-{self._made}", 0, "bare")
        return bodies.sandbox(spec, self._sandbox_image)

    def _container(self, sandbox: str) -> bodies.Body:
        uid = f"bare-{self._made}"
        spec = ContainerSpec("default", "bare", uid, "main", 0, IMAGE, command=COMMAND)
        return bodies.container(sandbox, spec)

    def _create(self, body: bodies.Body) -> str:
        del body["Labels"]  # by which the agent would take it for its own
        return str(self._asked("POST", "/containers/create", body)["Id"])

    def _start(self, container: str) -> None:
        self._asked("POST", f"/containers/{container}/start")

    def _remove(self, *containers: str) -> None:
        for container in containers:
            self._asked("DELETE", f"/containers/{container}?force=1")

    def _asked(self, method: str, path: str, body: bodies.Body | None = None) -> Any:
        door = Door(self._host.folder / "docker.sock", timeout=60)
        try:
            content = json.dumps(body) if body else None
            door.request(method, path, content, {"Content-Type": "application/json"})
            answer = door.getresponse()
            said = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {said.decode()}")
            return json.loads(said) if said else None
        finally:
            door.close()
