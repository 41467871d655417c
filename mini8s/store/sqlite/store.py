"""The store on one SQLite file: callers, readers and watches on one side, the writer's thread on the other.

A change takes its revision and its place in the writer's queue in one step, waits there with whoever made it,
and is shown to readers, then to watches, when the writer reports it durable: so readers see durable changes
only, in order of revision. A key has one change in flight at most; a second writer waits for the first one's
outcome and is judged by that, so a failed commit has nothing to unwind but itself.

Two locks, both of the caller's side: `_state` guards the feed and what is in flight, for microseconds;
`_delivery` makes one thing of showing changes and telling the watches, so that a new watch finds no gap.
`_delivery` is taken first. Native threads take neither. Where the loop's callers are greenlets, neither is
needed: nobody waits who has one, as a deliver never does.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import apsw

from mini8s.store import keys
from mini8s.store.base import (
    Compacted,
    Durability,
    Encode,
    FutureRevision,
    Loop,
    Mismatch,
    Page,
    Row,
    Sealer,
    Subscription,
    Ticket,
    Unavailable,
    Unsealed,
)
from mini8s.store.feed import Feed
from mini8s.store.loop import ThreadLoop
from mini8s.store.sqlite import file, resealing, rows, snapshot
from mini8s.store.sqlite.checkpoint import Checkpointer
from mini8s.store.sqlite.compaction import Retention
from mini8s.store.sqlite.history import History
from mini8s.store.sqlite.resealing import Resealing
from mini8s.store.sqlite.rows import Loaded, Write
from mini8s.store.sqlite.writer import Task, Writer
from mini8s.store.watches import Deliver, Watch, Watches
from mini8s.util.clock import Clock, SystemClock

log = logging.getLogger(__name__)


def open_store(
    path: str,
    *,
    loop: Loop | None = None,
    compact_minutes: float = 10,
    compact_revisions: int = 20_000,
    ephemeral_flush_seconds: float = 300,
    clock: Clock | None = None,
    sealer: Sealer | None = None,
) -> SqliteStore:
    """Open the file, or make it. Without a loop the store runs one on a thread of its own. Raises Locked,
    Corrupt, Unavailable, Unreadable."""
    sealer = sealer or Unsealed()
    lock = file.lock(path)
    try:
        db = file.open_checked(path)
        with file.telling(path):
            loaded = rows.load(db, sealer)
            sealer.ready()
            sealed = resealing.at_start(db, sealer)
        if sealed:
            log.info("%d values that were plain, or under an older key, are encrypted now", sealed)
        sealer.settled()
        db.execute("pragma shrink_memory")  # what was checked and loaded is not read from here again
    except BaseException:
        lock.release()
        raise
    own_loop = ThreadLoop() if loop is None else None
    return SqliteStore(
        path,
        db,
        loaded,
        loop=own_loop or cast("Loop", loop),
        ended=[own_loop.stop, lock.release] if own_loop else [lock.release],
        retention=Retention(seconds=compact_minutes * 60, revisions=compact_revisions),
        flush_seconds=ephemeral_flush_seconds,
        clock=clock or SystemClock(),
        sealer=sealer,
    )


class SqliteStore:
    """`mini8s.store.base.Store`."""

    def __init__(
        self,
        path: str,
        db: apsw.Connection,
        loaded: Loaded,
        *,
        loop: Loop,
        ended: Sequence[Callable[[], None]],
        retention: Retention,
        flush_seconds: float,
        clock: Clock,
        sealer: Sealer,
    ) -> None:
        self._path = path
        self._loop = loop
        self._ended = ended
        self._clock = clock
        self._retention = retention
        self._sealer = sealer
        self._history = History(path, sealer)
        self._state = loop.guard()
        self._delivery = loop.guard()
        self._feed = Feed(
            loaded.rows, loaded.tombstones, revision=loaded.revision, compacted=loaded.compacted
        )
        self._watches = Watches()
        self._ephemeral = set(loaded.ephemeral)
        self._given = loaded.revision
        self._in_flight: dict[str, Write] = {}
        self._outcomes: deque[Callable[[], None]] = deque()
        self._closed = False
        self._trouble = ""
        checkpointer = Checkpointer(partial(file.connect, path), self._report)
        self._writer = Writer(
            db,
            loaded,
            checkpointer,
            sealer,
            landed=lambda writes: self._post(partial(self._land, writes)),
            finished=lambda task: self._post(partial(self._finish, task)),
            report=self._report,
            flush_seconds=flush_seconds,
            clock=clock,
        )
        self._loop.start_thread(checkpointer.run, "store-checkpoint")
        self._loop.start_thread(self._writer.run, "store-writer")
        if loaded.swept < loaded.compacted:
            self._sweep(loaded.compacted)

    # Reading

    @property
    def revision(self) -> int:
        return self._feed.revision

    @property
    def compacted(self) -> int:
        return self._feed.compacted

    def get(self, key: str, *, revision: int = 0) -> Row | None:
        with self._state:
            if not revision:
                return self._feed.get(key)
            if self._in_memory(key, revision):
                return self._feed.get_at(key, revision)
        return self._history.row(key, revision)

    def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        with self._state:
            revision = revision or self._feed.revision
            if self._in_memory(prefix, revision):
                return self._feed.list_at(prefix, after=after, limit=limit, revision=revision)
        return self._history.page(prefix, after=after, limit=limit, revision=revision)

    def watch(self, prefix: str, since: int, deliver: Deliver) -> Subscription:
        with self._delivery:
            watch = Watch(self._watches, prefix, deliver, self._delivery)
            with self._state:
                recent = self._in_memory(prefix, since)
                start = self._feed.recent.start
                newer = self._feed.recent.since(max(since, start), prefix)
            if not recent:
                for chunk in self._history.changes(prefix, since, start):
                    deliver(chunk)
            if newer:
                deliver(newer)
            self._watches.add(watch)
            return watch

    def _in_memory(self, prefix: str, revision: int) -> bool:
        """Whether memory leads back to revision. Raises Compacted or FutureRevision where nothing does."""
        feed = self._feed
        if revision > feed.revision:
            raise FutureRevision(revision, feed.revision)
        if revision < feed.compacted:
            raise Compacted(revision, feed.compacted)
        if revision >= feed.recent.start:
            return True
        if any(keys.overlap(prefix, family) for family in self._ephemeral):
            raise Compacted(revision, feed.recent.start)
        return False

    # Writing

    def put(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        lasting = durability is Durability.LASTING
        return self._change(key, encode, expected, lasting=lasting, deleted=False)

    def delete(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        lasting = durability is Durability.LASTING
        return self._change(key, encode, expected, lasting=lasting, deleted=True)

    def _change(self, key: str, encode: Encode, expected: int, *, lasting: bool, deleted: bool) -> Row:
        ticket = self._loop.ticket()
        while (write := self._begin(key, encode, expected, ticket, lasting, deleted)) is None:
            ticket.wait()
            ticket = self._loop.ticket()
        ticket.wait()
        if write.error:
            raise write.error
        return write.row

    def _begin(
        self, key: str, encode: Encode, expected: int, ticket: Ticket, lasting: bool, deleted: bool
    ) -> Write | None:
        """Put the change in the queue. None: another of this key is in flight, and the ticket waits for
        that."""
        with self._state:
            if self._closed:
                raise Unavailable("the store is closed")
            if (other := self._in_flight.get(key)) is not None:
                other.tickets.append(ticket)
                return None
            current = self._feed.get(key)
            if (current.revision if current else 0) != expected or (deleted and current is None):
                raise Mismatch(key, current)
            revision = self._given + 1
            row = Row(key, encode(revision), revision, current.created_revision if current else revision)
            write = Write(row, self._feed.predecessor(key), deleted, lasting, [ticket])
            self._given = revision
            self._in_flight[key] = write
            self._writer.queue.put(write)
            return write

    def _land(self, writes: Sequence[Write]) -> None:
        """On the loop's thread: the writer is done with these."""
        with self._delivery:
            with self._state:
                for write in writes:
                    del self._in_flight[write.row.key]
                done = [write for write in writes if write.error is None]
                self._trouble = next((str(write.error) for write in writes if write.error), "")
                self._ephemeral.update(keys.family(write.row.key) for write in done if not write.lasting)
                changes = [self._feed.apply(write.row, deleted=write.deleted) for write in done]
            self._watches.dispatch(changes)
        for write in writes:
            for ticket in write.tickets:
                ticket.done()
        self._compact_if_due()

    # Upkeep

    def compact(self, revision: int) -> None:
        with self._state:
            if revision > self._feed.revision:
                raise FutureRevision(revision, self._feed.revision)
        self._sweep(revision).outcome()

    def reseal(self) -> int:
        """Bring all that is encrypted under the newest key, while others read and write; how many rows.
        Raises Unreadable, Unavailable."""
        work = Resealing(self._sealer)
        self._submit(partial(self._writer.reseal, work)).outcome()
        self._sealer.settled()
        return work.done

    def snapshot(self, path: str) -> None:
        if Path(path).exists():
            raise Unavailable(f"{path} exists already")
        self._submit(self._writer.flush).outcome()
        taking = snapshot.Taking(self._path, path, self._loop.ticket(), self._post)
        self._loop.start_thread(taking.run, "store-snapshot")
        taking.outcome()

    @property
    def trouble(self) -> str:
        return self._trouble

    def stats(self) -> dict[str, float]:
        figures = self._writer.figures
        return {
            "keys": len(self._feed),
            "revision": self._feed.revision,
            "compacted": self._feed.compacted,
            "watches": len(self._watches),
            "queued": len(self._in_flight),
            "commits": figures.commits,
            "written_bytes": figures.written_bytes,
            "file_bytes": _size(self._path),
            "wal_bytes": _size(f"{self._path}-wal"),
        }

    def close(self) -> None:
        with self._state:
            if self._closed:
                return
            self._closed = True
            stopping = Task(self._writer.stop, self._loop.ticket())
            self._writer.queue.put(stopping)
        try:
            stopping.outcome()
        except Unavailable as error:
            log.warning("the newest events and heartbeats are lost: %s", error)
        for end in self._ended:
            end()

    def _compact_if_due(self) -> None:
        due = self._retention.due(self._clock.monotonic(), self._feed.revision, self._feed.compacted)
        if due and not self._closed:
            self._sweep(due)

    def _sweep(self, upto: int) -> Task:
        with self._state:
            self._feed.compact(upto)
        return self._submit(partial(self._writer.sweep, upto), partial(self._swept, upto))

    def _swept(self, upto: int) -> None:
        with self._state:
            self._feed.drop_tombstones(upto)

    def _submit(self, run: Callable[[], bool], then: Callable[[], None] | None = None) -> Task:
        with self._state:
            if self._closed:
                raise Unavailable("the store is closed")
            task = Task(run, self._loop.ticket(), then)
            self._writer.queue.put(task)
            return task

    def _finish(self, task: Task) -> None:
        if task.then and not task.error:
            task.then()
        task.ticket.done()

    def _post(self, outcome: Callable[[], None]) -> None:
        """From a native thread to the loop's, in order, whatever order the loop keeps."""
        self._outcomes.append(outcome)
        self._loop.call_soon(self._next_outcome)

    def _next_outcome(self) -> None:
        self._outcomes.popleft()()

    def _report(self, what: str, error: Exception) -> None:
        """Native threads do not log: the program's logging may be of another threading."""
        self._post(partial(log.warning, "%s: %s", what, error))


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
