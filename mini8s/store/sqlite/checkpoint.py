"""Moves the write-ahead log into the database file on a thread of its own, so that commits need not wait.

Only when the log has grown: an idle server's disk sleeps. What is in the log is as durable as what is in the
file.
"""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable

import apsw

PAGES = 1_000  # of 4 KiB, written since the last time: when to begin
PAGES_TOO_MANY = (
    4_000  # in the log: the writer helps, so that it can start anew under a load that never pauses
)


class Checkpointer:
    """`kick` and `stop` are called by the writer's thread, `run` is the checkpointer's own."""

    def __init__(
        self, connect: Callable[[], apsw.Connection], report: Callable[[str, Exception], None]
    ) -> None:
        self._connect = connect
        self._report = report
        self._kicks: SimpleQueue[bool] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._next_at = PAGES
        self._log_pages = 0

    def kick(self, written: int, db: apsw.Connection) -> None:
        """Called after a commit with the number of pages that were ever written."""
        if written < self._next_at:
            return
        self._next_at = written + PAGES
        if self._log_pages >= PAGES_TOO_MANY:
            self._checkpoint(db)
            self._log_pages = 0  # nobody else writes: the next commit starts the log anew
        else:
            self._kicks.put(True)

    def stop(self) -> None:
        self._kicks.put(False)
        self._ended.get()

    def run(self) -> None:
        db = self._connect()
        while self._kicks.get():
            self._checkpoint(db)
        db.close(True)
        self._ended.put(None)

    def _checkpoint(self, db: apsw.Connection) -> None:
        try:
            self._log_pages, _ = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            pass  # the other thread is at it
        except apsw.Error as error:
            self._report("the write-ahead log cannot be checkpointed", error)
