"""Memory-backed folders, for Secrets and for emptyDir of medium Memory."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_MS_NOSUID, _MS_NODEV = 2, 4
_MNT_DETACH = 2


def mount(folder: Path, *, size_bytes: int = 0, mode: int = 0o755) -> None:
    """Mount one there unless one is. Raises OSError."""
    if folder.is_mount():
        return
    options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
    flags = _MS_NOSUID | _MS_NODEV
    if _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))


def unmount_below(folder: Path) -> None:
    """Take away every mount below a folder, the deepest first; one in use goes when its user ends."""
    for point in sorted(_mounts_below(folder), key=len, reverse=True):
        if _libc.umount2(os.fsencode(point), _MNT_DETACH):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), point)


def _mounts_below(folder: Path) -> list[str]:
    prefix = f"{folder.resolve()}/"
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]
    return [point for point in points if point.startswith(prefix)]
