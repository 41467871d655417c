"""Forgetting: what the log need not lead back to any more goes, a slice at a time between two batches.

What a key was at the compacted revision stays, and so does everything newer.
"""

from __future__ import annotations

from collections import deque

import apsw

from mini8s.store.sqlite import rows
from mini8s.store.sqlite.file import select

SLICE = 1_000  # rows; takes about a millisecond, which is what a write may have to wait for
SLACK = 1_000  # revisions that gather before the log is compacted by itself: rarer is cheaper for the disk

# A slice looks at each key that changed in it: older rows of the key are past, and its newest one too if that
# is a deletion. A row is older than its successor, so the index finds them without reading the log.
_SWEEP = """
    delete from log where revision in (
        select old.revision
        from (
            select key, max(revision) as newest from log where revision > ? and revision <= ? group by key
        ) as k
        join log as old on old.key = k.key and old.previous_revision < k.newest
        where old.revision < k.newest or (old.revision = k.newest and old.deleted)
    )
"""

_END_OF_SLICE = (
    "select max(revision) from (select revision from log where revision > ? order by revision limit ?)"
)


class Retention:
    """Decides what is old enough: neither among the newest revisions nor younger than so many seconds. Ages
    are known from samples, so they count from the start of the process."""

    def __init__(self, *, seconds: float, revisions: int) -> None:
        self._seconds = seconds
        self._revisions = revisions
        self._samples: deque[tuple[float, int]] = deque()
        self._aged = 0

    def due(self, now: float, revision: int, compacted: int) -> int:
        """The revision to compact to; 0 when it is not worth it yet."""
        if not self._samples or now - self._samples[-1][0] >= self._seconds / 16:
            self._samples.append((now, revision))
        while self._samples and now - self._samples[0][0] >= self._seconds:
            self._aged = self._samples.popleft()[1]
        cutoff = min(self._aged, revision - self._revisions)
        return cutoff if cutoff - compacted >= SLACK else 0


class Sweep:
    """The work of one compaction. `swept` outlives a crash, so that no row is forgotten to be forgotten."""

    def __init__(self, upto: int) -> None:
        self.upto = upto

    def step(self, db: apsw.Connection) -> bool:
        """Do a slice; whether there is more to do."""
        swept = rows.get_meta(db, "swept")
        if swept >= self.upto:
            return False
        end = self._end_of_slice(db, swept)
        with rows.transaction(db):
            rows.set_meta(db, "compacted", max(self.upto, rows.get_meta(db, "compacted")))
            db.execute(_SWEEP, (swept, end))
            rows.set_meta(db, "swept", end)
        return end < self.upto

    def _end_of_slice(self, db: apsw.Connection, swept: int) -> int:
        ((end,),) = select(db, _END_OF_SLICE, (swept, SLICE))
        return min(end or self.upto, self.upto)
