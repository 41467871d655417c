"""fsGroup: the group that a volume's files belong to, so that containers of any user may share them.

As upstream (`pkg/volume/volume_linux.go`): the group is given, the group's rights are added and never taken,
and folders hand their group on to what is made in them.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

READ_WRITE, READ_ONLY, ENTER = 0o660, 0o440, 0o110
ON_ROOT_MISMATCH = "OnRootMismatch"


def give(root: Path, group: int, *, read_only: bool = False, policy: str = "") -> None:
    """Give a folder with all in it to a group. Links are not followed."""
    mask = READ_ONLY if read_only else READ_WRITE
    if policy == ON_ROOT_MISMATCH and _is_given(root, group, mask):
        return
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            _give_one(Path(folder, name), group, mask)
        _give_one(Path(folder), group, mask)  # the root comes last: seen right, all below it is


def with_group(mode: int) -> int:
    """A read-only file's mode once a group owns it."""
    return mode | READ_ONLY


def _is_given(root: Path, group: int, mask: int) -> bool:
    found, wanted = root.stat(), mask | ENTER | stat.S_ISGID
    return found.st_gid == group and found.st_mode & wanted == wanted


def _give_one(path: Path, group: int, mask: int) -> None:
    found = path.lstat()
    if found.st_gid != group:
        os.chown(path, -1, group, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        return
    wanted = mask | (ENTER | stat.S_ISGID if stat.S_ISDIR(found.st_mode) else 0)
    # a change of the group takes set-id bits away, so the mode is set after it and even if it looks right
    path.chmod(stat.S_IMODE(found.st_mode) | wanted)
