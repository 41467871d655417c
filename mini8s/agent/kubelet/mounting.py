"""Mounts of the host that the kubelet makes and takes away: mount(2) and umount2(2)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_MS_BIND = 4096
_MNT_DETACH = 2


def mount(source: str, target: Path, kind: str, flags: int = 0, options: str = "") -> None:
    """Raises OSError."""
    said = os.fsencode(source), os.fsencode(target), kind.encode(), flags, options.encode()
    if _libc.mount(*said):
        raise _error(target)


def bind(source: str, target: Path) -> None:
    """Show a file or folder at another place too. Raises OSError."""
    mount(source, target, "", _MS_BIND)


def unmount(target: Path | str) -> None:
    """One in use goes when its user ends. Raises OSError."""
    if _libc.umount2(os.fsencode(target), _MNT_DETACH):
        raise _error(target)


def unmount_below(folder: Path) -> None:
    """Take away every mount below a folder, the deepest first."""
    for point in sorted(below(folder), key=len, reverse=True):
        unmount(point)


def below(folder: Path) -> list[str]:
    """The mount points below a folder, as the kernel names them."""
    prefix = f"{folder.resolve()}/"
    return [point for point in sources() if point.startswith(prefix)]


def sources() -> dict[str, str]:
    """What is mounted at each mount point, the last one where several lie on each other (proc(5))."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split(" ")
        point = words[4].encode().decode("unicode_escape")
        found[point] = words[words.index("-") + 2]
    return found


def _error(target: Path | str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), str(target))
