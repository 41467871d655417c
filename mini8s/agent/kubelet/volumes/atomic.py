"""Files that change all at once: a folder of the new files, and one rename of the link that points to it.

The layout is upstream's, because programs watch for it: `..data` is a link to a folder with a time in its
name, and each file of the volume is a link through `..data`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mini8s.agent.kubelet.volumes import ownership
from mini8s.agent.kubelet.volumes.payload import File, Payload

DATA, NEW_DATA = "..data", "..data_tmp"


def write(folder: Path, files: Payload, *, stamp: Callable[[], str], group: int | None = None) -> bool:
    """Make the volume hold these files and no others; whether anything changed. `stamp` names the new
    folder and must be unique."""
    if files == _present(folder):
        return False
    new = folder / f"..{stamp()}"
    new.mkdir(mode=0o755)
    new.chmod(0o755)  # whatever the agent's umask is
    try:
        for path, file in files.items():
            _write_file(new, path, file)
        if group is not None:
            ownership.give(folder, group, read_only=True)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)  # a full disk is not filled up further by each try
        raise
    link = folder / NEW_DATA
    link.unlink(missing_ok=True)
    link.symlink_to(new.name)
    link.rename(folder / DATA)
    _link_names(folder, files)
    for old in folder.glob("..*"):
        if old.name not in {DATA, new.name}:
            shutil.rmtree(old)
    return True


def shows_files(folder: Path) -> bool:
    """Whether the volume was written before."""
    return (folder / DATA).exists()


def _present(folder: Path) -> Payload | None:
    """What the volume holds, None before it was first written."""
    if not shows_files(folder):
        return None
    data = folder / DATA
    found = [path for path in data.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(data)): File(path.read_bytes(), path.stat().st_mode & 0o777) for path in found
    }


def _write_file(folder: Path, path: str, file: File) -> None:
    target = folder / path
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"the path {path} leads out of its volume")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.data)
    if file.user is not None:
        shutil.chown(target, user=file.user)
    target.chmod(file.mode & 0o777)


def _link_names(folder: Path, files: Payload) -> None:
    names = {path.split("/", 1)[0] for path in files}
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for link in folder.iterdir():
        if link.is_symlink() and link.name != DATA and link.name not in names:
            link.unlink()
