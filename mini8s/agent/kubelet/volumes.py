"""A pod's volumes on the host, brought up to date whenever they are asked for.

Memory-backed where the kernel lets us: Secrets always, emptyDir on demand. The folder of all pods is for root
alone; what a container sees of it is what is mounted into it.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.kubelet import atomic, host_path, tmpfs
from mini8s.agent.kubelet.downward import Placed
from mini8s.agent.kubelet.env import expand
from mini8s.agent.kubelet.lookup import Lookup, Missing
from mini8s.agent.kubelet.payload import KEYS, payload
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.runtime.base import Mount
from mini8s.objects import quantity
from mini8s.objects.kinds import Obj

log = logging.getLogger(__name__)


class MountFailed(Exception):
    """A volume isn't ready; the message is the FailedMount event's."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """`sources` are host paths by volume name; `stale` tells of volumes that go on showing old files."""

    sources: Mapping[str, str]
    stale: Sequence[str] = ()


def prepare(placed: Placed, folder: PodFolder, lookup: Lookup) -> Volumes:
    """Make and refresh all volumes. What a volume shows already it goes on showing when what it follows is
    gone: a container that crashes then must not stay down. Raises MountFailed for the first that can't be
    made."""
    sources, stale = {}, []
    for volume in placed.pod["spec"].get("volumes") or ():
        name, path = volume["name"], folder.volume(volume["name"])
        try:
            sources[name] = _prepare_one(placed, path, volume, lookup)
        except (Missing, OSError, ValueError) as error:
            message = f'MountVolume.SetUp failed for volume "{name}" : {error}'
            if not atomic.shows_files(path):
                raise MountFailed(message) from error
            sources[name] = str(path)
            stale.append(message)
    return Volumes(sources, stale)


def mounts(volumes: Volumes, container: Obj, env: Mapping[str, str]) -> list[Mount]:
    """A container's volumeMounts. Raises Missing."""
    return [_mount(volumes, mount, env) for mount in container.get("volumeMounts") or ()]


def has_files(pod: Obj) -> bool:
    """Whether the pod has volumes whose files follow objects of the API."""
    return any(key in volume for volume in pod["spec"].get("volumes") or () for key in KEYS)


def _prepare_one(placed: Placed, path: Path, volume: Obj, lookup: Lookup) -> str:
    group = (placed.pod["spec"].get("securityContext") or {}).get("fsGroup")
    if "hostPath" in volume:
        return host_path.source(volume["hostPath"])
    if "emptyDir" in volume:
        _empty_dir(path, volume["emptyDir"] or {}, group)
        return str(path)
    if not any(key in volume for key in KEYS):
        kind = next((key for key in volume if key != "name"), "without a source")
        raise Missing(f"no volume plugin matched: {kind}")
    files = payload(placed, volume, lookup)
    path.mkdir(parents=True, exist_ok=True)
    if "secret" in volume or "projected" in volume:
        _hide(path)
    atomic.write(path, files, stamp=lambda: uuid.uuid4().hex, group=group)
    return str(path)


def _empty_dir(path: Path, source: Obj, group: int | None) -> None:
    """Made beside its place and moved there, so that a killed agent leaves none half made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.get("medium") == "Memory":
        path.mkdir(exist_ok=True)
        if path.is_mount():
            return
        tmpfs.mount(path, size_bytes=quantity.value(source.get("sizeLimit") or "0"), mode=0o777)
        _open(path, group)
    elif not path.exists():
        new = path.with_name(f"..{path.name}")
        new.mkdir(exist_ok=True)
        _open(new, group)
        new.rename(path)


def _open(path: Path, group: int | None) -> None:
    """Anybody may write; with a group, new files take the folder's."""
    path.chmod(0o777)
    if group is not None:
        os.chown(path, -1, group)
        path.chmod(0o2777)


def _hide(path: Path) -> None:
    try:
        tmpfs.mount(path)
    except PermissionError as error:
        log.warning("secrets of %s lie on disk: %s", path, error)


def _mount(volumes: Volumes, mount: Obj, env: Mapping[str, str]) -> Mount:
    source = volumes.sources.get(mount["name"])
    if source is None:
        raise Missing(f'cannot find volume "{mount["name"]}" to mount into container')
    below = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
    propagation = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
    return Mount(
        _below(Path(source), below) if below else source,
        mount["mountPath"],
        bool(mount.get("readOnly")),
        propagation.get(mount.get("mountPropagation") or "", ""),
    )


def _below(volume: Path, path: str) -> str:
    """A subPath: what is missing becomes folders that let in whom the volume lets in; a link must not lead
    out of the volume."""
    target, root = (volume / path).resolve(), volume.resolve()
    if not target.is_relative_to(root):
        raise Missing(f"subPath {path} leads out of its volume")
    missing = [folder for folder in (target, *target.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        folder.chmod(root.stat().st_mode & 0o7777)
    return str(target)
