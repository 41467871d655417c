"""What readers see: the current rows, in memory, in order of key.

Pure data with one owner: the store applies a change here once it is as durable as it must be, in order of
revision, and guards the feed with its lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from mini8s.store import keys
from mini8s.store.base import Change, Page, Row
from mini8s.store.recent import RecentLog


class Feed:
    """Rows, and the recent log that leads back from them. A deleted key leaves its tombstone's revision
    until that is compacted: the key's next life names it as its predecessor."""

    def __init__(
        self,
        rows: Iterable[Row],
        tombstones: Mapping[str, int],
        *,
        revision: int,
        compacted: int,
        recent: RecentLog | None = None,
    ) -> None:
        self.revision = revision
        self.compacted = compacted
        self.recent = recent or RecentLog(revision)
        self._rows = {row.key: row for row in rows}
        self._keys = sorted(self._rows)
        self._tombstones = dict(tombstones)

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key: str) -> Row | None:
        return self._rows.get(key)

    def predecessor(self, key: str) -> int:
        """The revision of the key's last change, be it a deletion; 0 for none."""
        row = self._rows.get(key)
        return row.revision if row else self._tombstones.get(key, 0)

    def apply(self, row: Row, *, deleted: bool) -> Change:
        """Make one change visible; its revision is greater than all before."""
        before = self._rows.get(row.key)
        if deleted:
            self._remove(row)
        else:
            self._insert(row, new=before is None)
        self.revision = row.revision
        change = Change(row.revision, row.key, row.value, before.value if before else None, deleted)
        self.recent.append(change, before)
        return change

    def get_at(self, key: str, revision: int) -> Row | None:
        """The row as of a revision that the recent log reaches."""
        undone = self.recent.undo(key, revision)
        return undone[key] if key in undone else self._rows.get(key)

    def list_at(self, prefix: str, *, after: str, limit: int, revision: int) -> Page:
        """A page as of a revision that the recent log reaches."""
        undone = self.recent.undo(prefix, revision) if revision < self.revision else {}
        found = self._range(prefix, after)
        if undone:
            found = _merge(found, {key: row for key, row in undone.items() if key >= after})
        shown = found[:limit] if limit else found
        rows = tuple(undone.get(key) or self._rows[key] for key in shown)
        left = len(found) - len(shown)
        return Page(rows, revision, found[len(shown)] if left else "", left)

    def compact(self, revision: int) -> None:
        """Forget the way back to before revision."""
        self.compacted = max(self.compacted, revision)
        self.recent.forget(revision)

    def drop_tombstones(self, revision: int) -> None:
        """To be called once the disk has dropped them too: until then a key's next life must follow its
        tombstone."""
        self._tombstones = {key: rev for key, rev in self._tombstones.items() if rev > revision}

    def _range(self, prefix: str, after: str) -> list[str]:
        low = bisect_left(self._keys, max(prefix, after))
        return self._keys[low : bisect_left(self._keys, keys.end(prefix), lo=low)]

    def _insert(self, row: Row, *, new: bool) -> None:
        self._rows[row.key] = row
        if new:
            self._keys.insert(bisect_left(self._keys, row.key), row.key)
            self._tombstones.pop(row.key, None)

    def _remove(self, row: Row) -> None:
        del self._rows[row.key]
        del self._keys[bisect_left(self._keys, row.key)]
        self._tombstones[row.key] = row.revision


def _merge(found: list[str], undone: Mapping[str, Row | None]) -> list[str]:
    kept = [key for key in found if key not in undone]
    return sorted(kept + [key for key, row in undone.items() if row is not None])
