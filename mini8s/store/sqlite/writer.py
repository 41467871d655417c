"""The one native thread that writes: what has queued up while it was busy becomes one transaction.

It owns the connection, and what has been put off: ephemeral changes wait here until they are due, the newest
of each key only. It takes no lock and calls nobody but through the loop, so it may be a thread that the
program's own threading knows nothing of.

Ephemeral revisions are safe to show because a ceiling above them is on disk before: a start begins there, so
that none is given twice.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import apsw

from mini8s.store import keys
from mini8s.store.base import Sealer, StoreError, Ticket, Unavailable, Unreadable
from mini8s.store.sqlite import rows
from mini8s.store.sqlite.checkpoint import Checkpointer
from mini8s.store.sqlite.compaction import Sweep
from mini8s.store.sqlite.resealing import Resealing
from mini8s.store.sqlite.rows import Loaded, Write
from mini8s.util.clock import Clock

BLOCK = 10_000  # revisions reserved at once: one small write for hours of heartbeats
PAGE_BYTES = 4096 + 24  # with its header in the write-ahead log
LINGER_SECONDS = 0.002  # what a commit takes on a quick disk
RETRY_SECONDS = 30.0  # after the disk refused what was put off


@dataclass(slots=True, eq=False)
class Task:
    """Other work between two batches. `run` says whether it wants another turn; `then` is called on the
    loop's thread when it has succeeded."""

    run: Callable[[], bool]
    ticket: Ticket
    then: Callable[[], None] | None = None
    error: StoreError | None = None

    def outcome(self) -> None:
        """Wait for the end; raises what went wrong."""
        self.ticket.wait()
        if self.error:
            raise self.error


@dataclass(slots=True)
class Figures:
    commits: int = 0
    written_bytes: int = 0


class Writer:
    def __init__(
        self,
        db: apsw.Connection,
        loaded: Loaded,
        checkpointer: Checkpointer,
        sealer: Sealer,
        *,
        landed: Callable[[Sequence[Write]], None],
        finished: Callable[[Task], None],
        report: Callable[[str, Exception], None],
        flush_seconds: float,
        clock: Clock,
    ) -> None:
        self.figures = Figures()
        self.queue: SimpleQueue[Write | Task] = SimpleQueue()
        self.db = db
        self._checkpointer = checkpointer
        self._sealer = sealer
        self._landed = landed
        self._finished = finished
        self._report = report
        self._flush_seconds = flush_seconds
        self._clock = clock
        self._ceiling = loaded.ceiling
        self._newest = loaded.revision
        self._families = set(loaded.ephemeral)
        self._put_off: dict[str, Write] = {}
        self._flush_at = 0.0
        self._running = True
        self._crowded = False  # whether the last batch was of several
        self._never: SimpleQueue[None] = SimpleQueue()

    def run(self) -> None:
        """The thread's body."""
        while self._running:
            writes, task = self._gather()
            self._crowded = len(writes) > 1
            if writes:
                self._commit(writes)
                self._landed(writes)
            if self._put_off and self._clock.monotonic() >= self._flush_at:
                self._try_flush()
            if task:
                self._turn(task)
        self._abandon()

    def flush(self) -> bool:
        """Write what was put off; a task. Nothing is synced for it: the next lasting write's sync covers
        it."""
        if not self._put_off:
            return False
        self.db.execute("pragma synchronous=normal")
        try:
            self._write_put_off()
        finally:
            self.db.execute("pragma synchronous=full")
        return False

    def sweep(self, upto: int) -> bool:
        """A slice of a compaction; a task. What was put off goes first, or its old rows would be missed."""
        self.flush()
        more = Sweep(upto).step(self.db)
        self._committed()
        return more

    def reseal(self, work: Resealing) -> bool:
        """A slice of it; a task."""
        more = work.step(self.db)
        self._committed()
        return more

    def stop(self) -> bool:
        """Write what was put off and leave no block reserved; a task, and the last one."""
        self._running = False
        try:
            self.flush()
            with rows.transaction(self.db):
                rows.set_meta(self.db, "ceiling", self._newest)
            self._committed()
        finally:
            self._checkpointer.stop()
            self.db.close(True)
        return False

    def _gather(self) -> tuple[list[Write], Task | None]:
        """What is queued, up to the first task; waits for something unless a flush falls due."""
        writes: list[Write] = []
        try:
            item = self.queue.get(timeout=self._patience())
            if self._crowded:
                self._linger()
            while isinstance(item, Write):
                writes.append(item)
                if len(writes) == rows.MOST:
                    return writes, None
                item = self.queue.get_nowait()
            return writes, item
        except Empty:
            return writes, None

    def _linger(self) -> None:
        """Where many write, the next ones are on their way: one transaction for more of them costs less of
        disk and processor, and each of their callers waited longer for its turn than this takes. Who writes
        alone never waits. A native wait: the program's own `time.sleep` may be of another threading."""
        with suppress(Empty):
            self._never.get(timeout=LINGER_SECONDS)

    def _patience(self) -> float | None:
        return max(0.0, self._flush_at - self._clock.monotonic()) if self._put_off else None

    def _commit(self, writes: Sequence[Write]) -> None:
        self._newest = writes[-1].revision
        urgent = [write for write in writes if self._needs_disk(write)]
        if urgent:
            self._store(urgent)
        for write in writes:
            if write.error is None:
                self._sort_in(write)

    def _needs_disk(self, write: Write) -> bool:
        return (
            write.lasting
            or write.revision > self._ceiling
            or keys.family(write.row.key) not in self._families
        )

    def _store(self, urgent: Sequence[Write]) -> None:
        """Commit the lasting ones, and what makes it safe to show the others."""
        lasting = [write for write in urgent if write.lasting]
        families = {keys.family(write.row.key) for write in urgent if not write.lasting} - self._families
        ceiling = self._ceiling
        if ceiling < self._newest + BLOCK // 2:
            ceiling = self._newest + BLOCK
        try:
            if families or ceiling != self._ceiling:
                with rows.transaction(self.db):
                    rows.insert(self.db, lasting, self._sealer)
                    rows.add_ephemeral(self.db, families)
                    rows.set_meta(self.db, "ceiling", ceiling)
            else:
                rows.insert(self.db, lasting, self._sealer)
        except Exception as error:  # whatever it was, each of these writers must hear of it
            for write in urgent:
                write.error = refused(error)
            return
        self._ceiling = ceiling
        self._families |= families
        self._committed()

    def _sort_in(self, write: Write) -> None:
        if write.lasting:
            self._put_off.pop(write.row.key, None)
            return
        if not self._put_off:
            self._flush_at = self._clock.monotonic() + self._flush_seconds
        self._put_off[write.row.key] = write

    def _try_flush(self) -> None:
        try:
            self.flush()
        except Exception as error:
            self._flush_at = self._clock.monotonic() + RETRY_SECONDS
            self._report("events and heartbeats cannot be written yet", error)

    def _write_put_off(self) -> None:
        waiting = sorted(self._put_off.values(), key=lambda write: write.revision)
        for at in range(0, len(waiting), rows.MOST):
            batch = waiting[at : at + rows.MOST]
            rows.insert(self.db, batch, self._sealer)
            for write in batch:
                del self._put_off[write.row.key]
            self._committed()

    def _turn(self, task: Task) -> None:
        try:
            again = task.run()
        except Unreadable as error:
            task.error, again = error, False
        except Exception as error:
            task.error = refused(error)
            again = False
        if again and self._running:
            self.queue.put(task)
        else:
            self._finished(task)

    def _abandon(self) -> None:
        """A compaction's next turn may have queued up behind the stop; the next start takes it up."""
        while not self.queue.empty():
            task = self.queue.get()
            if isinstance(task, Task):
                task.error = Unavailable("the store is closed")
                self._finished(task)

    def _committed(self) -> None:
        pages, _ = self.db.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)
        self.figures.commits += 1
        self.figures.written_bytes = pages * PAGE_BYTES
        self._checkpointer.kick(pages, self.db)


def refused(error: Exception) -> Unavailable:
    refusal = Unavailable(f"the disk refused the write: {error}")
    refusal.__cause__ = error
    return refusal
