"""hostPath volumes: a path of the host, checked against the type that the pod says it is."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from mini8s.agent.kubelet.lookup import Missing
from mini8s.objects.kinds import Obj

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def source(volume: Obj) -> str:
    """The path, made if its type asks for that. Raises Missing."""
    path, kind = Path(volume["path"]), volume.get("type") or ""
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(mode=0o755, parents=True)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    wanted = kind.removesuffix("OrCreate")
    if wanted in _CHECKS:
        _check(path, *_CHECKS[wanted])
    return str(path)


def _check(path: Path, is_right: Callable[[int], bool], what: str) -> None:
    if not path.exists() or not is_right(path.stat().st_mode):
        raise Missing(f"hostPath type check failed: {path} is not {what}")
