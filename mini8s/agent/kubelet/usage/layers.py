"""Where a container's own files lie: the writable layer of its root, and its log."""

from __future__ import annotations

from pathlib import Path

from mini8s.agent.kubelet.usage.disk_usage import Taken
from mini8s.agent.runtime.records import Container

PROC = Path("/proc")


def writable_layer(container: Container, proc: Path = PROC) -> str:
    """The folder that holds what the container has written into its root, "" when that is unknown: it
    doesn't run, or its root is no overlay with an absolute path."""
    try:
        with (proc / str(container.pid) / "mountinfo").open() as file:
            return upper_layer(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return ""


def upper_layer(mountinfo: str) -> str:
    """The upperdir of the overlay that is the root, as proc(5) writes mounts down."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[4] != "/" or not after.startswith("overlay "):
            continue
        options = after.rpartition(" ")[2].split(",")
        found = next((one.removeprefix("upperdir=") for one in options if one.startswith("upperdir=")), "")
        return found if found.startswith("/") else ""
    return ""


def log_size(container: Container) -> Taken:
    """The container's log with the rotated ones beside it."""
    if not container.log_path:
        return Taken(0, 0)
    path = Path(container.log_path)
    sizes = []
    for one in path.parent.glob(f"{path.name}*"):
        try:
            sizes.append(one.stat().st_blocks * 512)
        except FileNotFoundError:
            continue
    return Taken(sum(sizes), len(sizes))
