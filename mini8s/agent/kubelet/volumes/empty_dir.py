"""emptyDir: a folder that lives as long as its pod, on disk or in memory.

A sizeLimit on disk is watched over by eviction; in memory the kernel keeps it.
"""

from __future__ import annotations

from pathlib import Path

from mini8s.agent.kubelet.downward import Placed
from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.volumes import ownership, tmpfs
from mini8s.agent.kubelet.volumes.base import Setting, Source
from mini8s.objects import quantity
from mini8s.objects.kinds import Obj

ANYBODY = 0o777


def prepare(setting: Setting, path: Path, source: Obj | None) -> Source:
    """Made beside its place and moved there, so that a killed agent leaves none half made."""
    medium = (source or {}).get("medium") or ""
    path.parent.mkdir(parents=True, exist_ok=True)
    if medium == "Memory":
        _in_memory(setting, path, source or {})
    elif medium:
        raise Missing(f'unknown storage medium "{medium}"')
    elif not path.exists():
        new = path.with_name(f"..{path.name}")
        new.mkdir(exist_ok=True)
        _open(new, setting.group)
        new.rename(path)
    return Source(str(path))


def memory_bytes(placed: Placed, source: Obj) -> int:
    """What a volume in memory may grow to: its own limit, never more than the pod's memory or the node's."""
    spec = placed.pod["spec"]
    limits = [((one.get("resources") or {}).get("limits") or {}).get("memory") for one in spec["containers"]]
    pod = sum(quantity.value(limit) for limit in limits if limit)
    asked = quantity.value(source.get("sizeLimit") or "0")
    node = quantity.value(placed.allocatable.get("memory") or "0")
    return min((size for size in (asked, pod, node) if size > 0), default=0)


def _in_memory(setting: Setting, path: Path, source: Obj) -> None:
    path.mkdir(exist_ok=True)
    if not path.is_mount():
        tmpfs.mount(path, size_bytes=memory_bytes(setting.placed, source), mode=ANYBODY)
        _open(path, setting.group)


def _open(path: Path, group: int | None) -> None:
    path.chmod(ANYBODY)
    if group is not None:
        ownership.give(path, group)
