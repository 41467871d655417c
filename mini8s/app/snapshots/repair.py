"""What a start does about a database that broke: it is set aside, and the newest good snapshot is named or,
where the operator said so, takes its place.

A server must never begin with an empty store where there was a full one: its agents would end every pod. So
while a broken database lies there and nothing has taken its place, no start goes on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mini8s.app.layout import ServerFiles
from mini8s.app.snapshots import archive, take
from mini8s.app.snapshots.base import DATABASE, RESTORING, Manifest, SnapshotError
from mini8s.app.snapshots.restore import go_on, unpack

BROKEN = ".broken-"


@dataclass(frozen=True, slots=True)
class Good:
    path: Path
    manifest: Manifest


def set_aside(files: ServerFiles, now: datetime) -> Path:
    """Rename the database with all that belongs to it; its new place. Raises OSError."""
    database = files.database
    aside = database.with_name(f"{database.name}{BROKEN}{now:%Y%m%dT%H%M%SZ}")
    database.rename(aside)
    _set_log_aside(database, aside)
    return aside


def _set_log_aside(database: Path, aside: Path) -> None:
    for suffix in ("-wal", "-shm"):
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            beside.rename(f"{aside}{suffix}")


def broken(files: ServerFiles) -> Path | None:
    """The newest database that was set aside and has no successor. Raises OSError."""
    if files.database.exists():
        return None
    found = sorted(files.database.parent.glob(f"{files.database.name}{BROKEN}*Z"))
    if not found:
        return None
    _set_log_aside(files.database, found[-1])  # a power cut in between left it, and SQLite would apply it
    return found[-1]


def newest_good(folder: Path, secret: bytes) -> Good | None:
    """The newest snapshot that is whole; each is read to its end."""
    for one in reversed(take.found(folder)):
        try:
            return Good(folder / one.name, archive.verify(folder / one.name, secret))
        except SnapshotError:
            continue
    return None


def put_back(files: ServerFiles, good: Good, secret: bytes, now: datetime) -> int:
    """The snapshot's database in the place of the broken one, and other files only where they are missing:
    keys on the disk may be newer. The revision that it begins above. Raises SnapshotError, OSError."""
    draft = files.root / RESTORING
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        manifest = unpack(good.path, draft, secret)
        revision = go_on(draft / DATABASE, manifest, now)
        for one in manifest.members:
            target = files.root / one.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                (draft / one.name).rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return revision


def advice(aside: Path, good: Good | None, folder: Path) -> str:
    """One sentence that says what happened and what helps."""
    said = f"the database is damaged and was set aside as {aside}"
    if good is None:
        return (
            f"{said}; there is no good snapshot in {folder}: restore one from elsewhere with "
            "`mini8s snapshot restore FILE`, or remove the damaged file to begin an empty cluster"
        )
    taken = good.manifest.taken
    return (
        f"{said}; the newest good snapshot is of {taken:%Y-%m-%d %H:%M:%S} UTC: restore it with "
        f"`mini8s snapshot restore {good.path}`, or start with --restore-broken"
    )
