"""`scripts/quickstart --down`: what quickstart set up is taken away, and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from stage import MINI8S, Stage, run, say

ROLE_LABEL = "mini8s.io/role"  # on every container that mini8s makes
IMAGES = ("mini8s-hello", "mini8s-busybox", "mini8s/pause")


def take_down(stage: Stage) -> None:
    """Safe to repeat; says what it removes."""
    remembered = stage.remembered()
    if not remembered:
        say(f"Nothing to remove: {stage.data} is not quickstart's")
        return
    stop_server(stage)
    remove_containers(stage)
    remove_network()
    remove_folder(stage.data)
    remove_kubeconfig(Path(remembered["kubeconfig"]))
    say("Gone. Debian packages and .venv stay.")


def stop_server(stage: Stage) -> None:
    pid = stage.server_pid()
    if not pid:
        return
    say(f"Stopping the server (process {pid})")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 15
    while stage.server_pid() and time.monotonic() < deadline:
        time.sleep(0.1)
    if stage.server_pid():
        os.killpg(pid, signal.SIGKILL)  # it leads a session of its own


def remove_containers(stage: Stage) -> None:
    """Pods with all they are: their network interfaces go with them."""
    docker = ("docker", "--host", stage.docker_host)
    ids = run(*docker, "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={ROLE_LABEL}").split()
    if ids:
        say(f"Removing {len(ids)} containers")
        run(*docker, "rm", "--force", "--volumes", *ids)
    for name in run(*docker, "images", "--format", "{{.Repository}}:{{.Tag}}").split():
        if name.startswith(IMAGES):
            run(*docker, "rmi", name)


def remove_network() -> None:
    """mini8s knows its own marks in the kernel."""
    say("Removing links, routes, addresses and packet filter tables of mini8s")
    code = "from mini8s.agent.network import cleanup; print(*cleanup.remove_all(), sep='\\n')"
    for problem in filter(None, run(str(MINI8S.with_name("python")), "-c", code).splitlines()):
        say(f"This stays: {problem}")


def remove_folder(data: Path) -> None:
    say(f"Removing {data}")
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((point for point in points if Path(point).is_relative_to(data)), reverse=True):
        run("umount", "--lazy", point)
    shutil.rmtree(data)


def remove_kubeconfig(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and path.parent.name == "mini8s" and not any(path.parent.iterdir()):
        path.parent.rmdir()
