"""All volumes of a pod, one after another: who makes which sort, and what happens when one can't be made."""

from __future__ import annotations

import os
from pathlib import Path

from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.volumes import atomic, claim, empty_dir, files, host_path
from mini8s.agent.kubelet.volumes.base import MountFailed, Setting, Source, Volumes
from mini8s.objects.kinds import Obj

# Those have a plugin upstream, and none here: each would need a program or a kernel module of its own.
_ELSEWHERE = "this node serves emptyDir, hostPath, configMap, secret, downwardAPI, projected, ephemeral and "
_ELSEWHERE += "persistentVolumeClaim"


def prepare(setting: Setting) -> Volumes:
    """Make and refresh all volumes. What a volume shows already it goes on showing when what it follows is
    gone: a container that crashes then must not stay down. Raises MountFailed for the first that can't be
    made."""
    sources, stale = {}, []
    for volume in setting.pod["spec"].get("volumes") or ():
        name, path = volume["name"], setting.folder.volume(volume["name"])
        try:
            sources[name] = _prepare_one(setting, path, volume)
        except (Missing, OSError, ValueError) as error:
            message = f'MountVolume.SetUp failed for volume "{name}" : {said(error)}'
            if not atomic.shows_files(path):
                raise MountFailed(message) from error
            sources[name] = Source(str(path), read_only=True)
            stale.append(message)
    return Volumes(sources, stale)


def has_files(pod: Obj) -> bool:
    """Whether the pod has volumes whose files follow objects of the API."""
    return any(key in volume for volume in pod["spec"].get("volumes") or () for key in files.KEYS)


def _prepare_one(setting: Setting, path: Path, volume: Obj) -> Source:
    if "hostPath" in volume:
        return Source(host_path.source(volume["hostPath"]))
    if "emptyDir" in volume:
        return empty_dir.prepare(setting, path, volume["emptyDir"])
    if any(key in volume for key in files.KEYS):
        return files.prepare(setting, path, volume)
    if "persistentVolumeClaim" in volume:
        return claim.prepare(setting, volume)
    if "ephemeral" in volume:
        return claim.prepare_ephemeral(setting, volume)
    kind = next((key for key in volume if key != "name"), "without a source")
    raise Missing(f"no volume plugin matched: {kind} ({_ELSEWHERE})")


def said(error: Exception) -> str:
    """A refusal of the kernel in its own words, with the file that it is about."""
    if isinstance(error, OSError) and error.errno:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{os.strerror(error.errno).lower()}"
    return str(error)
