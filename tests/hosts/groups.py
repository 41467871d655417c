"""The control group that every process of a host is born in: what was started on a host is found again by
it, whoever started it and whatever became of its parent."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def hierarchy() -> Path:
    """The tree that processes are counted in: v2 where it is mounted, alone or beside v1, else a v1 one."""
    for folder in (ROOT, ROOT / "unified", ROOT / "pids", ROOT / "systemd"):
        if (folder / "cgroup.procs").exists():
            return folder
    raise RuntimeError(f"no control groups are mounted at {ROOT}")


def hierarchies() -> list[Path]:
    """Every mounted tree."""
    trees = {path.resolve() for path in [ROOT, *ROOT.iterdir()] if (path / "cgroup.procs").exists()}
    return sorted(trees) if ROOT not in trees else [ROOT]


def make(name: str) -> Path:
    """The file that a process writes its id into to become part of the host. A leaf, since in v2 a group with
    children has no processes of its own."""
    leaf = hierarchy() / name / "host"
    leaf.mkdir(parents=True, exist_ok=True)
    return leaf / "cgroup.procs"


def members(folder: Path) -> set[int]:
    """Ids of the processes in a group and below it."""
    found: set[int] = set()
    for group in _tree(folder):
        try:
            found.update(int(line) for line in (group / "cgroup.procs").read_text().split())
        except OSError:
            continue  # the group went away while we read
    return found


def _tree(folder: Path) -> list[Path]:
    """A group and those below it, upper ones first; groups come and go while one looks."""
    return [Path(name) for name, _, _ in os.walk(folder)]


def below(name: str) -> list[Path]:
    """The groups of that name in every tree."""
    return [tree / name for tree in hierarchies() if (tree / name).is_dir()]


def of_process(pid: int) -> set[Path]:
    """The groups a process is in, but for the roots."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return set()
    paths = [line.split(":", 2)[2].lstrip("/") for line in lines]
    return {tree / path for path in paths if path for tree in hierarchies() if (tree / path).is_dir()}


def remove(folder: Path) -> None:
    """Remove a group and those below it; a group with processes stays and is seen by the leftover check."""
    for group in reversed(_tree(folder)):
        try:
            group.rmdir()
        except OSError:
            continue  # busy or gone: both are the leftover check's to judge


def remove_upwards(folder: Path) -> None:
    """Remove a container's group and those above it that are empty: whoever made them for it is gone."""
    remove(folder)
    for parent in folder.parents:
        if parent in hierarchies():
            return
        try:
            parent.rmdir()
        except OSError:
            return  # others live there
