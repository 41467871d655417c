"""What pods have on the host's disk: writable layers, logs, and volumes in their folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.kubelet.usage import layers
from mini8s.agent.kubelet.usage.disk_usage import NOTHING, DiskUsage, Space, Taken, space
from mini8s.agent.runtime.records import RunningPod
from mini8s.objects import claims, meta
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class ContainerStorage:
    """`root` is None when it can't be told."""

    root: Taken | None
    logs: Taken

    @property
    def taken(self) -> Taken:
        root = self.root or NOTHING
        return Taken(root.bytes + self.logs.bytes, root.inodes + self.logs.inodes)


@dataclass(frozen=True, slots=True)
class VolumeStorage:
    """`space` is what there is where the volume lies; `own`: it is a filesystem of its own, so that what it
    takes is not the node's."""

    name: str
    space: Space
    taken: Taken
    own: bool = False
    claim: str = ""


@dataclass(frozen=True, slots=True)
class PodStorage:
    """Containers by id."""

    containers: Mapping[str, ContainerStorage] = field(default_factory=dict)
    volumes: tuple[VolumeStorage, ...] = ()

    @property
    def ephemeral(self) -> Taken:
        """What counts against the pod's ephemeral-storage limit."""
        parts = [one.taken for one in self.containers.values()]
        parts += [one.taken for one in self.volumes if not one.own and not one.claim]
        return Taken(sum(one.bytes for one in parts), sum(one.inodes for one in parts))


@dataclass(frozen=True, slots=True)
class Filesystems:
    """The one of the data folder, and the one that the engine keeps images and layers on."""

    node: Space
    image: Space


class Storage:
    """`engine_root` is "" while the engine has not said where its folder is. `claimed` finds the folder of a
    claim, by namespace and name, on this host."""

    def __init__(
        self,
        data_dir: Path,
        engine_root: str,
        counts: DiskUsage,
        claimed: Callable[[str, str], Path | None],
    ) -> None:
        self._data_dir = data_dir
        self._engine_root = engine_root
        self._counts = counts
        self._claimed = claimed

    def filesystems(self) -> Filesystems:
        """Raises OSError."""
        node = space(self._data_dir)
        return Filesystems(node, space(self._engine_root) if self._engine_root else node)

    @property
    def shared(self) -> bool:
        """Whether the two are one."""
        root = self._engine_root
        return not root or Path(root).stat().st_dev == self._data_dir.stat().st_dev

    def pod(self, pod: Obj, running: RunningPod) -> PodStorage:
        """Raises OSError."""
        containers = {}
        for one in running.containers:
            layer = layers.writable_layer(one) if one.running else ""
            root = self._counts.of(layer) if layer else None
            containers[one.id] = ContainerStorage(root, layers.log_size(one))
        folder = PodFolder.of(self._data_dir, meta.uid(pod))
        volumes = (self._volume(pod, folder, one) for one in pod["spec"].get("volumes") or ())
        return PodStorage(containers, tuple(one for one in volumes if one is not None))

    def _volume(self, pod: Obj, folder: PodFolder, volume: Obj) -> VolumeStorage | None:
        """None for what lies elsewhere. Of a claim's volume the file system is told, as upstream tells
        of local ones: to count what may be millions of files would keep the disk busy."""
        claim = claims.of_volume(pod, volume)
        path = self._claimed(meta.namespace(pod), claim) if claim else folder.volume(volume["name"])
        if "hostPath" in volume or path is None or not path.exists():
            return None
        room, own = space(path), path.is_mount()
        whole = Taken(room.used, room.inodes - room.inodes_free)
        return VolumeStorage(
            volume["name"], room, whole if own or claim else self._counts.of(path), own, claim
        )
