"""What the processes of mini8s use, as the kernel counts it."""

from __future__ import annotations

from pathlib import Path

ROLES = ("api", "control", "agent")  # in the order in which the parent starts its children


def roles(parent: int, names: tuple[str, ...] = ROLES) -> dict[str, int]:
    """The processes of a `mini8s server`: its parent and each child."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {"parent": parent, **dict(zip(names, sorted(map(int, children)), strict=True))}


def pss_mb(pid: int) -> float:
    """Memory in MB: its own, and its share of what it shares."""
    return _field(f"/proc/{pid}/smaps_rollup", "Pss:") / 1024


def rss_mb(pid: int) -> float:
    return _field(f"/proc/{pid}/status", "VmRSS:") / 1024


def written_bytes(pid: int) -> int:
    """Bytes that it caused to go to a disk."""
    return _field(f"/proc/{pid}/io", "write_bytes:")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _field(path: str, name: str) -> int:
    lines = Path(path).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
