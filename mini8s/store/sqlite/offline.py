"""What can be done with a store file without being its server: copy it, look at it, make it the beginning of
a restored store.

A copy may be taken beside a server that writes: it is one read transaction of SQLite's. What that server has
put off (events, heartbeats) is not in it, and the ceiling that is keeps their revisions from being given
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from mini8s.store.base import Unavailable
from mini8s.store.sqlite import file, rows, snapshot
from mini8s.store.sqlite.schema import MIGRATIONS

SCHEMA = len(MIGRATIONS)


@dataclass(frozen=True, slots=True)
class Facts:
    """A file's schema, and a revision above all that were given in it."""

    schema: int
    revision: int


def copy(source: str, target: str) -> None:
    """Write a copy of a store, whole or not at all. Raises Damaged, Unavailable."""
    if not Path(source).exists():
        raise Unavailable(f"{source} does not exist")
    with file.telling(source):
        snapshot.copy(source, target)


def facts(path: str) -> Facts:
    """Raises Corrupt, Unavailable."""
    with _opened(path) as db:
        loaded = file.select(db, "select max(revision) from log")[0][0] or 0
        schema = int(file.select(db, "pragma user_version")[0][0])
        return Facts(schema, max(loaded, rows.get_meta(db, "ceiling", 1)))


def check(path: str) -> None:
    """Raises Corrupt unless the file is a whole store of a schema that this release knows."""
    with _opened(path) as db:
        file.check_integrity(db, path)


def begin_above(path: str, revision: int) -> None:
    """Let the store go on above a revision, and know nothing of what was before: whoever watches from a
    revision of the lost store lists again. The file is one that nobody has open."""
    with _opened(path) as db, rows.transaction(db):
        rows.set_meta(db, "ceiling", revision)
        rows.set_meta(db, "compacted", revision)


@contextmanager
def _opened(path: str) -> Iterator[apsw.Connection]:
    with file.telling(path):
        db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.set_busy_timeout(file.BUSY_MS)
            file.check_origin(db, path)
            yield db
        finally:
            db.close(True)
