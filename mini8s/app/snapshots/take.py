"""Making a snapshot: beside the server that runs, or of one that doesn't; no other process waits for it.

All of the server's folder is in it but what a start makes anew or what is the snapshots' own, so that a file
that some later release adds is in it too. It is made in a folder of its own beside its place and then named:
whatever happens, there is a whole one or none.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mini8s.app import sealing
from mini8s.app.layout import ServerFiles
from mini8s.app.snapshots import archive, keep
from mini8s.app.snapshots.base import (
    DATABASE,
    ON_DEMAND,
    RESTORING,
    Manifest,
    Named,
    NotTaken,
    SnapshotError,
    file_name,
    parse_name,
)
from mini8s.config import VERSION
from mini8s.store.base import StoreError
from mini8s.store.sqlite import offline
from mini8s.util.durable import sync_folder

_LEFT_OUT = frozenset({"lock", "api.sock", "db", "snapshots", "audit", "last-snapshot.json", RESTORING})
_DRAFT = ".taking-"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. `command` gets the file on its standard input, and then it is gone from
    here; it has so many seconds, or as many as it takes when somebody sits before it (0)."""

    folder: Path
    node: str
    why: str = ON_DEMAND
    passphrase_file: str = ""
    command: str = ""
    seconds: float = 0
    count: int = 0  # 0: none is removed
    days: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """`path` is None when a command has it."""

    name: str
    path: Path | None
    size: int
    manifest: Manifest
    removed: tuple[str, ...] = ()


def take(files: ServerFiles, wish: Wish, now: datetime) -> Taken:
    """Raises NotTaken, SnapshotError."""
    secret = b""
    if wish.passphrase_file:
        from mini8s.app.snapshots.seal import passphrase

        secret = passphrase(wish.passphrase_file)
    name = file_name(wish.why, wish.node, now, sealed=bool(secret))
    path = wish.folder / name
    with _told(wish.folder), _draft(wish.folder) as draft:
        if path.exists():
            raise NotTaken(f"{path} exists already")
        manifest = _gather(files, wish, draft, name, secret, now)
        size = (draft / name).stat().st_size
        (draft / name).rename(path)
        sync_folder(wish.folder)
    try:
        if wish.command:
            hand_over(path, wish.command, wish.seconds)
            path.unlink()
    finally:  # a command that fails for weeks must not fill the disk
        removed = prune(wish.folder, wish.count, wish.days, now) if wish.count else ()
    return Taken(name, None if wish.command else path, size, manifest, removed)


def found(folder: Path) -> list[Named]:
    """The snapshots in a folder by their names, the oldest first."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return sorted(filter(None, map(parse_name, names)), key=lambda one: one.when)


def prune(folder: Path, count: int, days: int, now: datetime) -> tuple[str, ...]:
    """Remove what has had its time; the names."""
    gone = keep.outdated(found(folder), count=count, days=days, now=now)
    for one in gone:
        (folder / one.name).unlink(missing_ok=True)
    return tuple(one.name for one in gone)


def hand_over(path: Path, command: str, seconds: float = 0) -> None:
    """Raises SnapshotError; the file stays where it is then. What has a limit ends with all that it began."""
    with path.open("rb") as file:
        child = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=file,
            env=os.environ | {"MINI8S_SNAPSHOT": path.name},
            stderr=subprocess.PIPE,
            start_new_session=bool(seconds),  # else it may ask at the terminal for a password
        )
    with child:
        try:
            _, said = child.communicate(timeout=seconds or None)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            why = f"took longer than {seconds:.0f} s and was ended"
        else:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            why = f"failed with {child.returncode}{f' ({last})' if last else ''}"
    if child.returncode:
        raise SnapshotError(f"the command that should take the snapshot {why}; the snapshot stays at {path}")


def _gather(files: ServerFiles, wish: Wish, draft: Path, name: str, secret: bytes, now: datetime) -> Manifest:
    sources = _copied(files, wish.folder, draft)
    said = offline.facts(str(sources[DATABASE]))
    identity = files.cluster_id
    manifest = Manifest(
        mini8s=VERSION,
        schema=said.schema,
        taken=now,
        node=wish.node,
        revision=said.revision,
        cluster=identity.read_text().strip() if identity.exists() else "",
        members=tuple(archive.member(one, path) for one, path in sorted(sources.items())),
    )
    archive.write(draft / name, manifest, sources, secret)
    return manifest


def _copied(files: ServerFiles, snapshots: Path, draft: Path) -> dict[str, Path]:
    """Copies of everything: what the server rewrites meanwhile can't differ from its hash, nor the keys from
    those that the database was written with."""
    made = {DATABASE: draft / "state.db"}
    with sealing.still(files.secret_keys):
        offline.copy(str(files.database), str(made[DATABASE]))
        for name, path in _others(files.root, snapshots):
            made[name] = draft / "files" / name
            made[name].parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, made[name])
    return made


def _others(root: Path, snapshots: Path) -> Iterator[tuple[str, Path]]:
    """But for snapshots wherever they are: one with all earlier ones in it would soon be without bounds."""
    place = snapshots.resolve()
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        left_out = _LEFT_OUT if here == root else frozenset()
        folders[:] = [one for one in folders if one not in left_out and (here / one).resolve() != place]
        for name in names:
            path = here / name
            if path.is_file() and not name.startswith(".") and name not in left_out:
                yield str(path.relative_to(root)), path


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """A folder to work in. One snapshot at a time; what a killed one left is removed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    turn = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for left in folder.glob(f"{_DRAFT}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=_DRAFT, dir=folder) as draft:
            yield Path(draft)
    finally:
        os.close(turn)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise NotTaken(
            f"no snapshot was taken: {where}: {error.strerror}; nothing of it was left behind"
        ) from error
    except StoreError as error:
        raise NotTaken(f"no snapshot was taken: {error}; nothing of it was left behind") from error
