"""Opening the database file: one server at a time, known to be whole, brought to this release's schema."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from mini8s.store.base import Corrupt, Damaged, Locked, Unavailable
from mini8s.store.sqlite.schema import APPLICATION_ID, MIGRATIONS

BUSY_MS = 10_000  # for a person's own sqlite3 on the file; mini8s itself has one writing connection
WAL_KEPT_BYTES = 4 << 20
CACHE_KIB = 2_048  # reads come from memory: the cache only serves the index


class FileLock:
    """Holds `PATH.lock` for as long as the process lives or until `release`; the kernel drops it after a
    kill."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._fd)
            raise Locked(f"{path} is in use by another mini8s server (process {holder})") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


def connect(path: str) -> apsw.Connection:
    """A connection to a file that exists and is ours."""
    db = _open(path)
    _set_up(db)
    return db


def _open(path: str) -> apsw.Connection:
    db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    db.set_busy_timeout(BUSY_MS)
    return db


def _set_up(db: apsw.Connection) -> None:
    """The log is checkpointed by a thread of ours, never by a commit. The journal's mode is kept in the
    file."""
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("pragma wal_autocheckpoint=0")
    db.execute(f"pragma journal_size_limit={WAL_KEPT_BYTES}")
    db.execute(f"pragma cache_size=-{CACHE_KIB}")


def connect_reader(path: str) -> apsw.Connection:
    db = connect(path)
    db.execute("pragma query_only=on")
    return db


def lock(path: str) -> FileLock:
    """Make the folder if need be and take the lock. Raises Locked, Unavailable."""
    try:
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}") from error


def open_checked(path: str) -> apsw.Connection:
    """The writer's connection to a whole file of the newest schema. Raises Corrupt, Unavailable."""
    with telling(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = _open(path)
        check_origin(db, path)
        _set_up(db)
        check_integrity(db, path)
        _migrate(db)
    return db


@contextmanager
def telling(path: str) -> Iterator[None]:
    """SQLite's errors in the store's words. Raises Damaged, Unavailable."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise Damaged(f"{path} is damaged: {error}") from error
    except (apsw.Error, OSError) as error:
        raise Unavailable(f"{path} can't be used: {error}") from error


def select(db: apsw.Connection, query: str, bindings: Sequence[int | str] = ()) -> list[tuple[Any, ...]]:
    """All rows of an answer; the schema is strict, so that the columns' types are known to who asks."""
    return db.execute(query, bindings).fetchall()


def _pragma(db: apsw.Connection, name: str) -> Any:
    return select(db, f"pragma {name}")[0][0]


def check_origin(db: apsw.Connection, path: str) -> None:
    version = _pragma(db, "user_version")
    if _pragma(db, "application_id") != APPLICATION_ID and select(db, "select 1 from sqlite_schema"):
        raise Corrupt(f"{path} is a database of another program")
    if version > len(MIGRATIONS):
        raise Corrupt(
            f"{path} was written by a newer mini8s (schema {version}, this one knows up to "
            f"{len(MIGRATIONS)}): install that version or use another data folder"
        )


def check_integrity(db: apsw.Connection, path: str) -> None:
    found = _pragma(db, "quick_check(1)")
    if found != "ok":
        raise Damaged(f"{path} is damaged: {found}")


def _migrate(db: apsw.Connection) -> None:
    version = _pragma(db, "user_version")
    if version == len(MIGRATIONS):
        return
    with db:
        for migration in MIGRATIONS[version:]:
            db.execute(migration)
        db.execute(f"pragma application_id={APPLICATION_ID}")
        db.execute(f"pragma user_version={len(MIGRATIONS)}")
