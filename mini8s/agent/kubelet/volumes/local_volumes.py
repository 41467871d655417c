"""This host's share in the life of the PersistentVolumes that are made of its disk: it makes them when a pod
needs them, lets them grow, and takes them away before the API forgets them.

Level-triggered by the one watch of PersistentVolumes. The finalizer goes last: until then the volume is seen,
by a later agent too, as one that is still to be removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.volumes.local_disks import DiskError, LocalDisks
from mini8s.client.base import Api, EventSink
from mini8s.client.cache import Cache
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import claims, meta
from mini8s.objects.errors import ApiError, NotFound
from mini8s.objects.kinds import PERSISTENTVOLUMES, Obj

log = logging.getLogger(__name__)


class LocalVolumes:
    """`folder` is the `disk` of volumes' Setting; `step` belongs to one worker."""

    def __init__(
        self, *, api: Api, events: EventSink, cache: Cache, node: str, disks: LocalDisks, queue: WorkQueue
    ) -> None:
        self._api, self._events, self._cache = api, events, cache
        self._node, self._disks, self._queue = node, disks, queue

    def folder(self, volume: Obj) -> Path:
        """Raises Missing."""
        name = meta.name(volume)
        if claims.on_node(volume) != self._node:
            raise Missing(f"volume {name} is on node {claims.on_node(volume)}")
        try:
            path = self._disks.make(name, claims.capacity(volume))
        except DiskError as error:
            raise Missing(str(error)) from error
        self._queue.add(name)
        return path

    def of_claim(self, namespace: str, name: str) -> Path | None:
        """The folder on this host that a claim is bound to, None when there is none."""
        for volume in self._cache.list():
            said = volume["spec"].get("claimRef") or {}
            if (said.get("namespace"), said.get("name")) == (namespace, name):
                local = volume["spec"].get("local") or {}
                return self._disks.root / meta.name(volume) if self._is_here(volume) else _path(local)
        return None

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        """The informer's handler."""
        for volume in (old, new):
            if volume and self._is_here(volume):
                self._queue.add(meta.name(volume))

    def step(self, timeout: float | None = None) -> None:
        """Look after one volume, waiting for it."""
        name = self._queue.get(timeout)
        if name is None:
            return
        try:
            self.sync(name)
        except (ApiError, OSError, DiskError) as error:
            log.warning("volume %s is looked after again later: %s", name, error)
            self._queue.add_rate_limited(name)
        else:
            self._queue.forget(name)
        finally:
            self._queue.done(name)

    def sync(self, name: str) -> None:
        volume = self._cache.get("", name)
        if volume is None or not self._is_here(volume):
            return
        if meta.deleting(volume):
            self._end(volume)
        elif self._disks.enforced(name) or (self._disks.root / name).exists():
            self._look_after(volume)

    def _is_here(self, volume: Obj) -> bool:
        return claims.is_ours(volume) and claims.on_node(volume) == self._node

    def _end(self, volume: Obj) -> None:
        """Nobody uses it any more once ours is the last finalizer."""
        if meta.finalizers(volume) != [claims.OUR_FINALIZER]:
            return
        name = meta.name(volume)
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self._disks.remove(name)
            log.info("volume %s was removed with its files", name)
        else:
            self._disks.unmount(name)
            log.info("volume %s is forgotten, its files stay", name)
        self._patch(volume, {"finalizers": None})

    def _look_after(self, volume: Obj) -> None:
        """Give it the size that is wanted, and say what was made."""
        name, wanted, before = meta.name(volume), claims.capacity(volume), meta.annotations(volume)
        grown, enforced = self._disks.grow(name, wanted), self._disks.enforced(name)
        if not grown:
            why = "Require file system resize of volume on node: it grows when it is mounted again"
            self._tell(volume, "Normal", "FileSystemResizeRequired", why)
            return
        said = {claims.SIZE_ENFORCED: "true" if enforced else "false", claims.SIZE_MADE: str(wanted)}
        if said.items() <= before.items():
            return
        if not enforced and claims.SIZE_ENFORCED not in before:
            why = f"the size of volume {name} is not enforced: {self._node} lacks loop devices or mkfs.ext4"
            self._tell(volume, "Warning", "SizeNotEnforced", why)
        self._patch(volume, {"annotations": said})

    def _tell(self, volume: Obj, type: str, reason: str, message: str) -> None:
        """Those who look at the volume, and those who look at its claim."""
        for about in (volume, *_claim_of(volume)):
            self._events.event(about, type, reason, message)

    def _patch(self, volume: Obj, metadata: Obj) -> None:
        identity = {"uid": meta.uid(volume), "resourceVersion": volume["metadata"]["resourceVersion"]}
        try:
            self._api.patch(PERSISTENTVOLUMES, "", meta.name(volume), {"metadata": metadata | identity})
        except NotFound:
            return


def _path(local: Obj) -> Path | None:
    return Path(local["path"]) if local.get("path") else None


def _claim_of(volume: Obj) -> Iterable[Obj]:
    """Enough of the claim for an event about it."""
    said = volume["spec"].get("claimRef")
    if said:
        metadata = {key: said[key] for key in ("namespace", "name", "uid") if key in said}
        yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
