"""Brings what the log holds under the newest key: at a start what an older mini8s left plain, and, a slice at
a time between two batches, everything when the key is changed.

A row keeps its revision: nothing has changed for readers and watches. What a row held before is not only
overwritten: at the next start (the same one, for what was plain) the file is written anew and the write-ahead
log emptied, so that no free page still shows it. A note in the file tells that this is to be done, so that a
start that is killed in between leaves it to the next.
"""

from __future__ import annotations

from collections import deque

import apsw

from mini8s.store import keys
from mini8s.store.base import Sealer
from mini8s.store.sqlite import rows
from mini8s.store.sqlite.file import select

SLICE = 200  # rows; takes some milliseconds, which is what a write may have to wait for

_TRACES = "traces"  # 1: free pages may still show what a row held
_OF_KEYS = "select revision from log where key >= ? and key < ?"
_ROW = "select key, value from log where revision = ?"


class Resealing:
    """The rows there are when it begins; what is written later is under the new key anyway."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._left: deque[int] | None = None
        self.done = 0

    def step(self, db: apsw.Connection) -> bool:
        """Do a slice; whether there is more to do. Raises Unreadable."""
        if self._left is None:
            self._left = deque(self._all(db))
        before = self.done
        with rows.transaction(db):
            for _ in range(min(SLICE, len(self._left))):
                self._row(db, self._left.popleft())
            if self.done > before:
                rows.set_meta(db, _TRACES, 1)
        return bool(self._left)

    def _all(self, db: apsw.Connection) -> list[int]:
        found = (select(db, _OF_KEYS, (prefix, keys.end(prefix))) for prefix in self._sealer.prefixes)
        return [revision for several in found for (revision,) in several]

    def _row(self, db: apsw.Connection, revision: int) -> None:
        for key, value in select(db, _ROW, (revision,)):  # compaction may have taken it
            if self._sealer.stale(value):
                new = self._sealer.seal(key, self._sealer.open(key, value))
                db.execute("update log set value = ? where revision = ?", (new, revision))
                self.done += 1


def at_start(db: apsw.Connection, sealer: Sealer) -> int:
    """How many rows had to be sealed. Raises Unreadable."""
    work = Resealing(sealer)
    while work.step(db):
        pass
    if rows.get_meta(db, _TRACES):
        db.execute("vacuum")
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        rows.set_meta(db, _TRACES, 0)
    return work.done
