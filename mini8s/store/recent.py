"""The newest changes, in memory: watches catch up from here and paged lists go back through it.

Bounded by number and by bytes; who asks for more is served from the disk. Every change with a revision
greater than `start` is here.
"""

from __future__ import annotations

from collections import deque

from mini8s.store.base import Change, Row

MOST_CHANGES = 4_096
MOST_BYTES = 8 << 20  # of the server's 60 MB


class RecentLog:
    def __init__(self, start: int, *, most_changes: int = MOST_CHANGES, most_bytes: int = MOST_BYTES) -> None:
        self.start = start
        self._entries: deque[tuple[Change, Row | None]] = deque()
        self._bytes = 0
        self._most_changes = most_changes
        self._most_bytes = most_bytes

    def append(self, change: Change, before: Row | None) -> None:
        self._entries.append((change, before))
        self._bytes += len(change.value)
        while len(self._entries) > self._most_changes or self._bytes > self._most_bytes:
            self._pop()

    def since(self, revision: int, prefix: str) -> list[Change]:
        """Changes under prefix that are newer than revision, in order."""
        newer: list[Change] = []
        for change, _ in reversed(self._entries):
            if change.revision <= revision:
                break
            if change.key.startswith(prefix):
                newer.append(change)
        newer.reverse()
        return newer

    def undo(self, prefix: str, revision: int) -> dict[str, Row | None]:
        """Each key under prefix that has changed since revision, with its row as it was then."""
        undone: dict[str, Row | None] = {}
        for change, before in reversed(self._entries):
            if change.revision <= revision:
                break
            if change.key.startswith(prefix):
                undone[change.key] = before
        return undone

    def forget(self, revision: int) -> None:
        """Drop what is not newer than revision."""
        while self._entries and self._entries[0][0].revision <= revision:
            self._pop()
        self.start = max(self.start, revision)

    def _pop(self) -> None:
        change, _ = self._entries.popleft()
        self._bytes -= len(change.value)
        self.start = change.revision
