"""A store without a disk, for tests of who uses one: the real feed and watches, every change visible at once.

It keeps the whole history. `refuse` makes the next writes fail as a full disk does.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

from mini8s.store.base import (
    Compacted,
    Durability,
    Encode,
    FutureRevision,
    Mismatch,
    Page,
    Row,
    Subscription,
    Unavailable,
)
from mini8s.store.feed import Feed
from mini8s.store.recent import RecentLog
from mini8s.store.watches import Deliver, Watch, Watches


class FakeStore:
    """`mini8s.store.base.Store`."""

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        everything = RecentLog(0, most_changes=1 << 60, most_bytes=1 << 60)
        self.refuse: Unavailable | None = None
        self._feed = Feed(rows, {}, revision=1, compacted=0, recent=everything)
        self._watches = Watches()
        self._lock = threading.RLock()

    @property
    def revision(self) -> int:
        return self._feed.revision

    @property
    def compacted(self) -> int:
        return self._feed.compacted

    def get(self, key: str, *, revision: int = 0) -> Row | None:
        with self._lock:
            return self._feed.get_at(key, self._readable(revision or self.revision))

    def list(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Page:
        with self._lock:
            at = self._readable(revision or self.revision)
            return self._feed.list_at(prefix, after=after, limit=limit, revision=at)

    def put(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        return self._change(key, encode, expected, deleted=False)

    def delete(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        return self._change(key, encode, expected, deleted=True)

    def watch(self, prefix: str, since: int, deliver: Deliver) -> Subscription:
        with self._lock:
            newer = self._feed.recent.since(self._readable(since), prefix)
            watch = Watch(self._watches, prefix, deliver, self._lock)
            if newer:
                deliver(newer)
            self._watches.add(watch)
            return watch

    def compact(self, revision: int) -> None:
        with self._lock:
            if revision > self.revision:
                raise FutureRevision(revision, self.revision)
            self._feed.compact(revision)

    def snapshot(self, path: str) -> None:
        if Path(path).exists():
            raise Unavailable(f"{path} exists already")
        rows = {row.key: row.value.decode() for row in self.list("").rows}
        Path(path).write_text(json.dumps(rows))

    @property
    def trouble(self) -> str:
        return str(self.refuse or "")

    def stats(self) -> dict[str, float]:
        return {
            "keys": len(self._feed),
            "revision": self.revision,
            "compacted": self.compacted,
            "watches": len(self._watches),
        } | dict.fromkeys(("file_bytes", "wal_bytes", "commits", "written_bytes", "queued"), 0.0)

    def close(self) -> None:
        self.refuse = Unavailable("the store is closed")

    def _readable(self, revision: int) -> int:
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)
        return revision

    def _change(self, key: str, encode: Encode, expected: int, *, deleted: bool) -> Row:
        with self._lock:
            if self.refuse:
                raise self.refuse
            current = self._feed.get(key)
            if (current.revision if current else 0) != expected or (deleted and current is None):
                raise Mismatch(key, current)
            revision = self.revision + 1
            row = Row(key, encode(revision), revision, current.created_revision if current else revision)
            self._watches.dispatch([self._feed.apply(row, deleted=deleted)])
            return row
