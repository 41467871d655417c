"""Follows the folder of static pods: what its files say now, and which pods of before are on their way out.

A look costs a stat a file, so there is no need of the kernel's notifications. A file that can't be understood
keeps the pod that it said before; one that somebody may be writing just now is looked at a moment later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mini8s.agent.kubelet.static import manifests as static_pod
from mini8s.objects import meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time
from mini8s.util.clock import Clock
from mini8s.wire.yaml import decode_yaml

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
SUFFIXES = (".yaml", ".yml", ".json")
YOUNG_SECONDS = 0.5  # so long a file is left alone after it was written to
Stamp = tuple[int, int, int]  # inode, size, time of change


def folder(data_dir: Path) -> Path:
    """k3s' own name for it."""
    return data_dir / "agent" / "pod-manifests"


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: Stamp
    pod: Obj | None


class StaticPods:
    """`changed` is called with a uid and with `namespace/name`, of pods that came or went."""

    def __init__(self, path: Path, node: str, clock: Clock, changed: Callable[[str, str], None]) -> None:
        self._path = path
        self._node = node
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()  # guards the pods that leave
        self._leaving: dict[str, str] = {}  # uid → namespace/name
        self._files: dict[str, _Read] = {}
        self._pods: Mapping[str, Obj] = {}  # by uid; replaced whole
        self.loaded = False

    def scan(self) -> float:
        """A round of the folder's thread."""
        self._files = self._read_all()
        before, self._pods = self._pods, self._by_uid()
        gone = {uid: meta.key(pod) for uid, pod in before.items() if uid not in self._pods}
        with self._lock:
            self._leaving |= gone
        self.loaded = True
        for uid, pod in {**before, **self._pods}.items():
            if uid in gone or uid not in before:
                self._changed(uid, meta.key(pod))
        return EVERY_SECONDS

    def of(self, uid: str) -> Obj | None:
        return self._pods.get(uid)

    def named(self, key: str) -> Obj | None:
        return next((pod for pod in self._pods.values() if meta.key(pod) == key), None)

    def all(self) -> Mapping[str, Obj]:
        return self._pods

    def leaves(self, key: str) -> bool:
        """Whether a pod of that name is still on its way out: the next one waits for it."""
        with self._lock:
            return key in self._leaving.values()

    def left(self, uid: str) -> None:
        """Nothing of that pod is here any more."""
        with self._lock:
            key = self._leaving.pop(uid, None)
        if key is not None:
            next_one = self.named(key)
            self._changed(meta.uid(next_one) if next_one else uid, key)

    def _read_all(self) -> dict[str, _Read]:
        try:
            paths = sorted(path for path in self._path.iterdir() if _counts(path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("static pods stay as they are: %s", error)
            return self._files
        found = {path.name: self._read(path, self._files.get(path.name)) for path in paths}
        return {name: read for name, read in found.items() if read is not None}

    def _read(self, path: Path, known: _Read | None) -> _Read | None:
        try:
            stat = path.stat()
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if known and known.stamp == stamp:
                return known
            if 0 <= self._clock.now().timestamp() - stat.st_mtime < YOUNG_SECONDS:
                return known
            content = path.read_bytes()
        except OSError as error:
            log.warning("static pod %s: %s", path, error)
            return known
        seen = format_time(datetime.fromtimestamp(stat.st_mtime, UTC))
        try:
            said = decode_yaml(content)
            pod = static_pod.parse(said, content, path=str(path), node=self._node, seen=seen)
        except BadRequest as error:
            log.warning("static pod %s: %s", path, error)
            return _Read(stamp, known.pod if known else None)
        return _Read(stamp, pod)

    def _by_uid(self) -> Mapping[str, Obj]:
        """Of two files that say the same name the first counts."""
        found: dict[str, Obj] = {}
        for read in self._files.values():
            if read.pod is not None:
                found.setdefault(meta.key(read.pod), read.pod)
        return {meta.uid(pod): pod for pod in found.values()}


def _counts(path: Path) -> bool:
    return path.suffix in SUFFIXES and not path.name.startswith(".")
