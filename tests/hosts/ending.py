"""Ending a host, as if its plug were pulled: processes by id, then what they left in the kernel and on disk.

Nothing is asked to stop, because nothing may be relied on to answer: this also runs when a test has failed,
and it is what a reboot does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from hosts import groups
from hosts.place import NAMESPACES, Place


def end(place: Place, number: int, *, forget: bool) -> None:
    """End all of a host's processes and mounts; `forget` removes its files too."""
    name, folder = place.host(number), place.folder / str(number)
    emptied = end_processes(name)
    for group in groups.below(name):
        groups.remove(group)
    for group in emptied:
        groups.remove_upwards(group)
    remove_shim_sockets(folder)
    unmount_below(folder)
    if forget and folder.exists():
        shutil.rmtree(folder)
    elif not forget:
        for run in ("x", "c"):
            shutil.rmtree(folder / run, ignore_errors=True)
        for run in ("docker.sock", "docker.pid"):
            (folder / run).unlink(missing_ok=True)


def end_processes(name: str, seconds: float = 60.0) -> set[Path]:
    """Kill until none is left; the control groups outside the host's own that they were in."""
    own = groups.hierarchy() / name
    seen: set[Path] = set()
    deadline = time.monotonic() + seconds
    while pids := _processes(name, seen):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of {name} do not end: {sorted(pids)}")
        for pid in pids:
            seen |= {group for group in groups.of_process(pid) if _is_container_group(group, own)}
        for pid in pids:
            _kill(pid)
        time.sleep(0.02)
    return seen


def _is_container_group(group: Path, own: Path) -> bool:
    """Whether only containers of this host live there: named by a container's id, outside our own tree."""
    return not group.is_relative_to(own) and any(len(part) == 64 for part in group.parts)


def _processes(name: str, seen: Iterable[Path]) -> set[int]:
    """All that belongs to a host: its control group, its network namespace, and their children, which is how
    containers in control groups elsewhere are found."""
    found = groups.members(groups.hierarchy() / name) | in_namespace(name)
    for group in seen:
        found |= groups.members(group)
    parents = _parents()
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        grown = bool(children)
        found |= children
    return {pid for pid in found if pid in parents and pid != os.getpid()}


def in_namespace(name: str) -> set[int]:
    """Processes whose network is that namespace."""
    try:
        wanted = (NAMESPACES / name).stat().st_ino
    except OSError:
        return set()
    return {pid for pid in _parents() if _namespace(pid) == wanted}


def in_process_group(number: int) -> set[int]:
    return {pid for pid in _parents() if _process_group(pid) == number}


def _process_group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _namespace(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0


def _parents() -> dict[int, int]:
    """Every living process and its parent; a zombie has ended already."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] not in "ZX":
            found[int(entry.name)] = int(fields[1])
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def remove_shim_sockets(folder: Path) -> None:
    """A shim's socket is in the machine's /run; the shim noted its name among the engine's files."""
    for note in folder.glob("x/containerd/*/moby/*/address"):
        Path(note.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def mounts_below(folder: Path) -> list[str]:
    """Mount points in a folder, deepest last."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if Path(point).is_relative_to(folder)]


def unmount_below(folder: Path) -> None:
    for point in reversed(mounts_below(folder)):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
