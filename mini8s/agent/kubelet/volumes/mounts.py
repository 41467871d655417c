"""What of a pod's volumes a container sees, and where: its volumeMounts.

A subPath is opened step by step without following a link, and what was opened is bound to a place that no
container can reach: a container that exchanges a folder for a link at that very moment gains nothing
(CVE-2017-1002101, CVE-2021-25741).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from mini8s.agent.kubelet import mounting
from mini8s.agent.kubelet.env import expand
from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.kubelet.volumes.base import Source, Volumes
from mini8s.agent.runtime.specs import Mount
from mini8s.objects.kinds import Obj

_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
_VARIABLE = re.compile(r"(?<!\$)\$\(([^()]*)\)")
_WHATEVER = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def mounts(volumes: Volumes, container: Obj, env: Mapping[str, str], folder: PodFolder) -> list[Mount]:
    """A container's volumeMounts. Raises Missing."""
    name = container["name"]
    for device in container.get("volumeDevices") or ():
        raise Missing(f'cannot find volume "{device["name"]}" to pass into container "{name}"')
    found = []
    for place, mount in enumerate(container.get("volumeMounts") or ()):
        source = volumes.sources.get(mount["name"])
        if source is None:
            raise Missing(f'cannot find volume "{mount["name"]}" to mount into container "{name}"')
        path, below = source.path, _sub_path(mount, env)
        if below:
            path = _held(source, below, folder.part_of_volume(name, place), mount["name"], name)
        found.append(_mount(source, path, mount))
    return found


def _mount(source: Source, path: str, mount: Obj) -> Mount:
    read_only = source.read_only or bool(mount.get("readOnly"))
    _check_recursive(mount, path)
    return Mount(
        path, mount["mountPath"], read_only, _PROPAGATION.get(mount.get("mountPropagation") or "", "")
    )


def _check_recursive(mount: Obj, path: str) -> None:
    """An engine makes the mount itself read-only and not those below it: that is all there is to do when
    nothing is mounted below, and then `Enabled` is kept; else it is refused, as by any runtime that can't."""
    wish, name = mount.get("recursiveReadOnly") or "Disabled", mount["name"]
    if wish == "Disabled":
        return
    asked = "failed to resolve recursive read-only mode: "
    asked += f'volume "{name}" requested recursive read-only mode, but it'
    if not mount.get("readOnly"):
        raise Missing(f"{asked} is not read-only")
    if mount.get("mountPropagation") not in {None, "None"}:
        raise Missing(f'{asked} is not compatible with propagation "{mount["mountPropagation"]}"')
    if wish == "Enabled" and mounting.below(Path(path)):
        raise Missing(f"{asked} is not supported by the runtime")


def _sub_path(mount: Obj, env: Mapping[str, str]) -> str:
    expression = mount.get("subPathExpr")
    if not expression:
        return mount.get("subPath") or ""
    for name in _VARIABLE.findall(expression):
        if name not in env:
            raise Missing(f'missing value for "{name}"')
    return expand(expression, env)


def _held(source: Source, below: str, place: Path, volume: str, container: str) -> str:
    """The path at which that part of the volume is held fast."""
    try:
        return _hold(Path(source.path), below, place)
    except (OSError, ValueError) as error:
        why = f"{below}: {(error.strerror or '').lower()}" if isinstance(error, OSError) else error
        refused = f'failed to prepare subPath for volumeMount "{volume}" of container "{container}"'
        raise Missing(f"{refused}: {why}") from error


def _hold(volume: Path, below: str, place: Path) -> str:
    if below.startswith("/"):
        raise ValueError(f"{below} must not be an absolute path")
    if ".." in below.split("/"):
        raise ValueError(f"{below} must not contain '..'")
    root, target = volume.resolve(), (volume / below).resolve()
    if not target.is_relative_to(root):
        raise ValueError(f"{below} leads out of its volume")
    opened = _open_below(root, target.relative_to(root).parts)
    try:
        _make_place(place, is_folder=stat.S_ISDIR(os.fstat(opened).st_mode))
        mounting.bind(f"/proc/self/fd/{opened}", place)
    finally:
        os.close(opened)
    return str(place)


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    """A handle of what lies below a folder. What is missing becomes folders that let in whom the volume lets
    in."""
    here = os.open(root, _WHATEVER)
    mode = stat.S_IMODE(os.fstat(here).st_mode)
    for part in parts:
        above = here
        try:
            here = _open_step(above, part, mode, group=os.fstat(above).st_gid)
        finally:
            os.close(above)
        if stat.S_ISLNK(os.fstat(here).st_mode):
            os.close(here)
            raise ValueError(f"{part} became a link meanwhile")
    return here


def _open_step(above: int, part: str, mode: int, group: int) -> int:
    try:
        return os.open(part, _WHATEVER, dir_fd=above)
    except FileNotFoundError:
        os.mkdir(part, dir_fd=above)
        made = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        if mode & stat.S_ISGID:
            os.fchown(made, -1, group)
        os.fchmod(made, mode)
        return made


def _make_place(place: Path, *, is_folder: bool) -> None:
    """A container that starts again gets what is there now."""
    while str(place) in mounting.sources():
        mounting.unmount(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not is_folder:
        place.rmdir()
    elif place.exists() and is_folder and not place.is_dir():
        place.unlink()
    if is_folder:
        place.mkdir(exist_ok=True)
    else:
        place.touch()
