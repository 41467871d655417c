"""Hosts as a test or a shell sees them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hosts import ending, engine, groups, network
from hosts.place import MOST_HOSTS, NAMESPACES, Place, address

# $0 the control group's file, $1 the namespace, then the command
_ENTER = 'echo $$ >"$0" && net=$1 && shift && exec nsenter --net="$net" -- "$@"'
_PROGRAMS = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "sysctl": "procps",
    "dockerd": "docker.io",
    "containerd": "containerd",
}


class HostError(Exception):
    """A command on a host failed, or hosts can't be made here."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a set. It needs no object kept alive: what it is lives in the kernel and in its folder."""

    place: Place
    number: int

    @property
    def name(self) -> str:
        """The name it has as a node."""
        return f"h{self.number}"

    @property
    def ip(self) -> str:
        return address(self.number)

    @property
    def folder(self) -> Path:
        return self.place.folder / str(self.number)

    @property
    def data(self) -> Path:
        """The data folder for mini8s."""
        return self.folder / "mini8s"

    @property
    def docker_host(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What tells docker, mini8s and kubectl that they are here; mini8s takes each flag as MINI8S_FLAG."""
        return {
            "DOCKER_HOST": self.docker_host,
            "MINI8S_DOCKER_HOST": self.docker_host,
            "MINI8S_DATA_DIR": str(self.data),
            "MINI8S_NODE_NAME": self.name,
            "MINI8S_CGROUP_ROOT": f"/{self.place.host(self.number)}",
            "MINI8S_NODE_IP": self.ip,
            "MINI8S_WRITE_KUBECONFIG": str(self.folder / "kubeconfig"),
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            "KUBECACHEDIR": str(self.folder / "kubectl"),
        }

    def command(self, *command: str) -> list[str]:
        """The command line that runs another on this host, from wherever it is started."""
        procs = groups.make(self.place.host(self.number))
        return ["sh", "-c", _ENTER, str(procs), str(NAMESPACES / self.place.host(self.number)), *command]

    def popen(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a command on this host. Ends with the host at the latest; close it as any Popen."""
        environment = {**os.environ, **self.environment, **options.pop("env", {})}
        return subprocess.Popen(self.command(*command), env=environment, **options)

    def run(self, *command: str, **options: Any) -> str:
        """Run a command on this host as `call` does; what it printed. Raises HostError when it fails."""
        result = self.call(*command, **options)
        if result.returncode:
            said = f"{result.stdout}{result.stderr}"
            raise HostError(f"{self.name}: {' '.join(command)} ended with {result.returncode}\n{said}")
        return result.stdout

    def call(
        self, *command: str, timeout: float = 180, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on this host; its code, output and errors."""
        return subprocess.run(
            self.command(*command),
            env={**os.environ, **self.environment, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def docker(self, *arguments: str, timeout: float = 180) -> str:
        return self.run("docker", *arguments, timeout=timeout)

    def cut(self) -> None:
        """Pull the cable."""
        network.set_cable(self.place, self.number, up=False)

    def mend(self) -> None:
        network.set_cable(self.place, self.number, up=True)

    def reboot(self, *, plugged: bool = True) -> None:
        """Power off and on: every process, link, route, table and mount is gone, the files stay, the engine
        starts again. Whoever started agents starts them again too. The cable is plugged in by then, or
        pulled."""
        ending.end(self.place, self.number, forget=False)
        self.start(plugged=plugged)
        self.wait()

    def start(self, *, plugged: bool = True, stock: bool = False) -> None:
        """`stock`: with an engine as a package installs it."""
        network.make_host(self.place, self.number, plugged=plugged)
        self.folder.mkdir(parents=True, exist_ok=True)
        engine.start(self.folder, self.place.host(self.number), self.command(), stock=stock)

    def wait(self) -> None:
        """Until the engine answers."""
        engine.wait(self.folder)

    @property
    def is_up(self) -> bool:
        return engine.answers(self.folder / "docker.sock")


class Hosts:
    """A set of hosts on one switch. As a context manager it takes itself down, also after a failure."""

    def __init__(self, prefix: str = "") -> None:
        self.place = Place.of(prefix)

    def __getitem__(self, number: int) -> Host:
        if number not in self.place.numbers():
            raise HostError(f"there is no host {number}: scripts/hosts up {number}")
        return Host(self.place, number)

    def __iter__(self) -> Iterator[Host]:
        return (Host(self.place, number) for number in self.place.numbers())

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self, count: int) -> list[Host]:
        """Make hosts 1 to `count` unless they are up; all of them. On failure none is left."""
        if not 1 <= count <= MOST_HOSTS:
            raise HostError(f"1 to {MOST_HOSTS} hosts can be made, not {count}")
        check_machine()
        if self.place.is_others:
            raise HostError(f"{self.place.folder} holds something else: choose another MINI8S_HOSTS_PREFIX")
        wanted = [Host(self.place, number) for number in range(1, count + 1)]
        try:
            self.place.make()
            network.make_switch(self.place)
            new = [host for host in wanted if not host.is_up]
            for host in new:
                ending.end(self.place, host.number, forget=False)
                host.start()
            for host in new:
                host.wait()
        except BaseException:
            self.down()
            raise
        return wanted

    def down(self) -> None:
        """End every host and remove all that they were."""
        numbers = self.place.numbers()
        if numbers:
            with ThreadPoolExecutor(len(numbers)) as pool:
                list(pool.map(lambda number: ending.end(self.place, number, forget=True), numbers))
        for number in numbers:
            network.remove(self.place.host(number))
        network.remove(self.place.switch)
        self.place.remove()


def check_machine() -> None:
    """Say plainly what is missing to make hosts."""
    if os.geteuid() != 0:
        raise HostError(
            "making hosts needs root (sudo): they are network namespaces with a Docker engine each"
        )
    missing = [package for program, package in _PROGRAMS.items() if not shutil.which(program)]
    if missing:
        raise HostError(
            f"making hosts needs packages that are not installed: apt-get install {' '.join(missing)}"
        )
