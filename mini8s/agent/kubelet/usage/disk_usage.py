"""How much of the disk a folder takes, and how much of a filesystem is left.

Counting a folder means looking at every file of it, so a count is kept and taken again only when it is old,
the older the longer it took: who asks often doesn't keep the disk busy.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mini8s.util.clock import Clock

KEPT_SECONDS = 60.0
LAZINESS = 20  # a count may take a twentieth of the time
_BLOCK = 512  # st_blocks, whatever the filesystem's own


@dataclass(frozen=True, slots=True)
class Space:
    """A filesystem, in bytes and inodes."""

    capacity: int
    available: int
    used: int
    inodes: int
    inodes_free: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What lies in a folder."""

    bytes: int
    inodes: int


NOTHING = Taken(0, 0)


def space(path: Path | str) -> Space:
    """Raises OSError."""
    found = os.statvfs(path)
    unit = found.f_frsize
    used = (found.f_blocks - found.f_bfree) * unit
    return Space(found.f_blocks * unit, found.f_bavail * unit, used, found.f_files, found.f_favail)


def count(folder: Path | str) -> Taken:
    """All that lies in it on its own filesystem, a file with several names once. What goes while it is
    counted is not there."""
    size = inodes = 0
    seen: set[int] = set()
    for found in _files(str(folder)):
        if found.st_nlink > 1 and found.st_ino in seen:
            continue
        seen.add(found.st_ino)
        size += found.st_blocks * _BLOCK
        inodes += 1
    return Taken(size, inodes)


def _files(top: str) -> Iterator[os.stat_result]:
    try:
        first = os.lstat(top)
    except FileNotFoundError:
        return
    yield first
    todo = [top]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    found = _stat(entry)
                    if found is None or found.st_dev != first.st_dev:
                        continue
                    yield found
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class _Counted:
    taken: Taken
    until: float  # good until then, monotonic


class DiskUsage:
    """Counts of folders, kept for a while. What nobody asks for any more is forgotten."""

    def __init__(self, clock: Clock, kept_seconds: float = KEPT_SECONDS) -> None:
        self._clock = clock
        self._kept_seconds = kept_seconds
        self._lock = threading.Lock()  # guards the counts; and two never count at once
        self._kept: dict[str, _Counted] = {}

    def of(self, folder: Path | str) -> Taken:
        """Raises OSError."""
        with self._lock:
            began = self._clock.monotonic()
            known = self._kept.get(str(folder))
            if known is not None and known.until > began:
                return known.taken
            taken = count(folder)
            ended = self._clock.monotonic()
            self._kept = {path: one for path, one in self._kept.items() if one.until > began - KEPT_SECONDS}
            until = ended + max(self._kept_seconds, LAZINESS * (ended - began))
            self._kept[str(folder)] = _Counted(taken, until)
            return taken
