"""Sleep until something happens in a folder: inotify(7), which the standard library has no name for."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_MODIFY, _MOVED_TO, _CREATE, _DELETE = 0x2, 0x80, 0x100, 0x200
_WANTED = _MODIFY | _MOVED_TO | _CREATE | _DELETE
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name


class Watch:
    """One thread waits, another may wake it."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._inotify = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            _checked(_libc.inotify_add_watch(self._inotify, os.fsencode(folder), _WANTED))
        except OSError:
            self.close()
            raise

    def wait(self, seconds: float) -> set[str]:
        """Names of files that something happened to since the last time; none when the time is over or
        somebody wakes it. The end of the folder itself is not told while a file of it is open."""
        poll = select.poll()
        poll.register(self._inotify, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.poll(seconds * 1000)
        try:
            return set(_names(os.read(self._inotify, 65536)))
        except BlockingIOError:
            return set()

    def wake(self) -> None:
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        os.close(self._inotify)
        os.close(self._wake)


def _names(events: bytes) -> Iterator[str]:
    at = 0
    while at < len(events):
        _, _, _, length = _HEAD.unpack_from(events, at)
        at += _HEAD.size + length
        yield os.fsdecode(events[at - length : at].rstrip(b"\0"))


def _checked(number: int) -> int:
    if number < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return number
