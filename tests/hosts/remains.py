"""What pods are on a host, as its engine, its kernel and its disk see it: looked at before the first and
after the last, so that nothing of any pod is left."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hosts import groups
from hosts.ending import mounts_below
from hosts.host import Host
from hosts.leftovers import command


@dataclass(frozen=True, slots=True)
class Remains:
    """Names of what is there, by sort. Sandboxes are among the containers; mounts are those of volumes, of
    containers' files, and of network namespaces that the engine keeps."""

    containers: frozenset[str]
    shims: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    routes: frozenset[str]
    mounts: frozenset[str]
    groups: frozenset[str]
    folders: frozenset[str]

    @classmethod
    def of(cls, host: Host) -> Remains:
        addressed = _asked(host, "address")
        return cls(
            containers=frozenset(host.docker("ps", "--all", "--format={{.Names}} {{.State}}").splitlines()),
            shims=frozenset(_shims(host.folder)),
            links=frozenset(link["ifname"] for link in addressed),
            addresses=frozenset(
                f"{link['ifname']} {one['local']}" for link in addressed for one in link["addr_info"]
            ),
            routes=frozenset(f"{one['dst']} {one.get('dev')}" for one in _asked(host, "route")),
            mounts=frozenset(mounts_below(host.folder)),
            groups=frozenset(_groups(host)),
            folders=frozenset(map(str, _folders(host.data / "agent" / "pods"))),
        )

    def without(self, before: Remains) -> list[str]:
        """One line for each thing that wasn't there before; none is the aim."""
        return [
            f"{field.name}: {name}"
            for field in fields(self)
            for name in sorted(getattr(self, field.name) - getattr(before, field.name))
        ]


def _asked(host: Host, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(host.run("ip", "-j", "-4", what))
    if what == "address":  # a link without an address is not in that list
        known = {link["ifname"] for link in found}
        links = json.loads(host.run("ip", "-j", "link"))
        found += [{**link, "addr_info": []} for link in links if link["ifname"] not in known]
    return found


def _shims(folder: Path) -> Iterable[str]:
    """Each container's watcher; it bears the engine's address and the container's id."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            line = command(int(entry.name))
            if "containerd-shim" in line and f"{folder}/" in line:
                yield line


def _groups(host: Host) -> Iterable[str]:
    """But for the engine's own and that of all pods, which the first one makes and none takes away."""
    for top in groups.below(host.place.host(host.number)):
        lasting = {top, top / "kubepods"}
        yield from (folder for folder, _, _ in os.walk(top) if Path(folder) not in lasting)


def _folders(pods: Path) -> Iterable[Path]:
    return pods.iterdir() if pods.is_dir() else ()
