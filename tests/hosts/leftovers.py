"""What tests left behind: looked at when they are through, so that no run burdens the next one or the
machine.

Things that bear the set's name must all be gone. Of the machine's own network (links, packet filter), and of
namespaces and engines when a run has the machine to itself, what was there before the run may stay.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from hosts import ending, groups
from hosts.place import NAMESPACES, Place

ENGINES = ("dockerd", "containerd", "containerd-shim")
ALONE = "MINI8S_TEST_ALONE"  # set by scripts/test: nobody else works on this machine


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Names of what is there, by sort."""

    namespaces: frozenset[str]
    processes: frozenset[str]
    groups: frozenset[str]
    mounts: frozenset[str]
    folders: frozenset[str]
    links: frozenset[str]
    tables: frozenset[str]

    @classmethod
    def of(cls, place: Place) -> Leftovers:
        """What bears the set's name."""
        names = [place.switch, *(place.host(number) for number in range(1, 10))]
        groups_left = [str(group) for name in names for group in groups.below(name)]
        pids = set().union(
            *(groups.members(Path(group)) for group in groups_left), *map(ending.in_namespace, names)
        )
        return cls(
            namespaces=frozenset(name for name in names if (NAMESPACES / name).exists()),
            processes=frozenset(f"{pid} {command(pid)}" for pid in pids),
            groups=frozenset(groups_left),
            mounts=frozenset(ending.mounts_below(place.folder)),
            folders=frozenset({str(place.folder)} if place.folder.exists() else ()),
            links=frozenset(),
            tables=frozenset(),
        )

    @classmethod
    def of_machine(cls) -> Leftovers:
        """What is in the machine's own network, and all namespaces and engines when the run is alone here."""
        alone = bool(os.environ.get(ALONE))
        return cls(
            namespaces=frozenset(namespaces() if alone else ()),
            processes=frozenset(engines() if alone else ()),
            groups=frozenset(),
            mounts=frozenset(),
            folders=frozenset(),
            links=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            tables=frozenset(tables()),
        )

    @classmethod
    def after(cls, before: Leftovers, place: Place, seconds: float = 30.0) -> Leftovers:
        """What a run left behind; links and processes that are just ending get a moment."""
        deadline = time.monotonic() + seconds
        while True:
            left = cls.of_machine().without(before).joined(cls.of(place))
            if not left.lines() or time.monotonic() > deadline:
                return left
            time.sleep(0.1)

    def joined(self, other: Leftovers) -> Leftovers:
        return Leftovers(*(getattr(self, field.name) | getattr(other, field.name) for field in fields(self)))

    def without(self, earlier: Leftovers) -> Leftovers:
        return Leftovers(
            *(getattr(self, field.name) - getattr(earlier, field.name) for field in fields(self))
        )

    def lines(self) -> list[str]:
        """One line a finding; none is the aim."""
        return [
            f"{field.name}: {name}" for field in fields(self) for name in sorted(getattr(self, field.name))
        ]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "(ended)"


def namespaces() -> Iterable[str]:
    return [path.name for path in NAMESPACES.iterdir()] if NAMESPACES.is_dir() else []


def engines() -> Iterable[str]:
    """Engines and shims of whatever set, the machine's own included."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    lines = [f"{pid} {command(pid)}" for pid in pids]
    return [line for line in lines if Path(line.split(" ")[1]).name.startswith(ENGINES)]


def tables() -> Iterable[str]:
    """Tables of the machine's own packet filter; without root or nft there is nothing to see."""
    try:
        output = subprocess.run(["nft", "-j", "list", "tables"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    entries = [entry.get("table") for entry in json.loads(output)["nftables"]]
    return [f"{entry['family']} {entry['name']}" for entry in entries if entry]
