"""Reads of the past from the disk, for who asks for more than the recent log in memory has.

Each read is one read transaction on a connection of its own, and asks the file itself how far it has been
compacted: rows can go between the caller's question and this answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from mini8s.store import keys
from mini8s.store.base import Change, Compacted, Page, Row, Sealer
from mini8s.store.sqlite import rows
from mini8s.store.sqlite.file import connect_reader, select

CHUNK = 1_000  # changes held in memory at once

_CHANGES = """
    select log.revision, log.key, log.value, log.deleted, before.value
    from log left join log before on before.revision = log.previous_revision and not before.deleted
    where log.revision > ? and log.revision <= ? and +log.key >= ? and +log.key < ?
    order by log.revision limit ?
"""

_KEYS_AT = """
    select log.key, log.revision
    from (select max(revision) as revision from log where key >= ? and key < ? and revision <= ? group by key)
    join log using (revision) where not log.deleted order by log.key
"""


class History:
    def __init__(self, path: str, sealer: Sealer) -> None:
        self._path = path
        self._open = sealer.open

    def changes(self, prefix: str, since: int, until: int) -> Iterator[list[Change]]:
        """Changes with since < revision <= until, in chunks. Raises Compacted."""
        with self._reading(since) as db:
            while chunk := self._chunk(db, prefix, since, until):
                yield chunk
                since = chunk[-1].revision

    def page(self, prefix: str, *, after: str, limit: int, revision: int) -> Page:
        """Rows as of a revision. Raises Compacted."""
        bounds = (max(prefix, after), keys.end(prefix), revision)
        with self._reading(revision) as db:
            found = select(db, _KEYS_AT, bounds)
            shown = found[:limit] if limit else found
            page = tuple(self._row(db, key, newest) for key, newest in shown)
        left = len(found) - len(shown)
        return Page(page, revision, found[len(shown)][0] if left else "", left)

    def row(self, key: str, revision: int) -> Row | None:
        """The row as of a revision. Raises Compacted."""
        page = self.page(key, after="", limit=1, revision=revision)
        return next((row for row in page.rows if row.key == key), None)

    def _chunk(self, db: apsw.Connection, prefix: str, since: int, until: int) -> list[Change]:
        found = select(db, _CHANGES, (since, until, prefix, keys.end(prefix), CHUNK))
        return [
            Change(
                revision,
                key,
                self._open(key, value),
                None if previous is None else self._open(key, previous),
                bool(deleted),
            )
            for revision, key, value, deleted, previous in found
        ]

    def _row(self, db: apsw.Connection, key: str, revision: int) -> Row:
        ((created, value),) = select(
            db, "select created_revision, value from log where revision = ?", (revision,)
        )
        return Row(key, self._open(key, value), revision, created)

    @contextmanager
    def _reading(self, oldest: int) -> Iterator[apsw.Connection]:
        db = connect_reader(self._path)
        try:
            db.execute("begin")
            compacted = rows.get_meta(db, "compacted")
            if oldest < compacted:
                raise Compacted(oldest, compacted)
            yield db
        finally:
            db.close(True)
