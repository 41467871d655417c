"""configMap, secret, downwardAPI and projected: files that follow objects of the API."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

from mini8s.agent.kubelet.volumes import atomic, tmpfs
from mini8s.agent.kubelet.volumes.base import Setting, Source
from mini8s.agent.kubelet.volumes.payload import payload
from mini8s.objects.kinds import Obj

log = logging.getLogger(__name__)

KEYS = ("configMap", "secret", "downwardAPI", "projected")
_HIDDEN = ("secret", "projected")


def prepare(setting: Setting, path: Path, volume: Obj) -> Source:
    """Write what has changed. Containers may not write into these volumes."""
    files = payload(setting, volume)
    path.mkdir(parents=True, exist_ok=True)
    if any(key in volume for key in _HIDDEN):
        _hide(path)
    atomic.write(path, files, stamp=lambda: uuid.uuid4().hex, group=setting.group)
    return Source(str(path), read_only=True)


def _hide(path: Path) -> None:
    """Secrets never lie on a disk, where the kernel lets us."""
    try:
        tmpfs.mount(path)
    except PermissionError as error:
        log.warning("secrets of %s lie on disk: %s", path, error)
