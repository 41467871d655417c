"""A host's Docker engine: a dockerd and a containerd of its own, with every path inside the host's folder.

containerd is started by us because dockerd would otherwise join the machine's own, where there is one. The
engine keeps its hands off the network: no bridge, no packet filter. Those of the machine are not read. A
`stock` one is told only where things lie: its bridge and packet filter are as a package sets them up.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hosts.door import Door

CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "{folder}/x/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{folder}/c/s"
"""


def settings(folder: Path, name: str, *, stock: bool = False) -> dict[str, Any]:
    """What dockerd is told; `x` is short because sockets live below it."""
    where = {
        "data-root": f"{folder}/docker",
        "exec-root": f"{folder}/x",
        "pidfile": f"{folder}/docker.pid",
        "hosts": [f"unix://{folder}/docker.sock"],
        "containerd": f"{folder}/c/s",
        "deprecated-key-path": f"{folder}/docker.key",
        "cgroup-parent": f"/{name}",
        "log-level": "warn",
    }
    if stock:
        return where
    return where | {
        "bridge": "none",
        "iptables": False,
        "ip-forward": False,
        "ip-masq": False,
        "userland-proxy": False,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    }


def start(folder: Path, name: str, enter: Sequence[str], *, stock: bool = False) -> None:
    """Start both and return at once; `enter` is the command that runs another on the host."""
    (folder / "c").mkdir(parents=True, exist_ok=True)
    (folder / "containerd.toml").write_text(CONTAINERD.format(folder=folder))
    (folder / "dockerd.json").write_text(json.dumps(settings(folder, name, stock=stock), indent=1))
    _detach(
        [*enter, "containerd", "--config", f"{folder}/containerd.toml", "--log-level", "warn"],
        folder / "containerd.log",
    )
    _detach([*enter, "dockerd", "--config-file", f"{folder}/dockerd.json"], folder / "dockerd.log")


def _detach(command: Sequence[str], log: Path) -> None:
    """Run beyond the life of this process. Proxies are left out: an engine of a test pulls nothing."""
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    with log.open("ab") as output:
        subprocess.run(
            ["setsid", "--fork", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
            env=environment,
        )


def answers(path: Path) -> bool:
    """Whether an engine listens on that socket and is well."""
    door = Door(path)
    try:
        door.request("GET", "/_ping")
        return door.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        door.close()


def wait(folder: Path, seconds: float = 120.0) -> None:
    """Until the engine answers; raises with the end of its log."""
    deadline = time.monotonic() + seconds
    while not answers(folder / "docker.sock"):
        if time.monotonic() > deadline:
            log = (folder / "dockerd.log").read_text()[-2000:]
            raise RuntimeError(f"the Docker engine in {folder} does not answer after {seconds:.0f} s:\n{log}")
        time.sleep(0.02)
