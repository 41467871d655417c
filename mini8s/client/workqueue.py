"""The queue of keys between a watch and a worker, with client-go's semantics.

A key that is added twice is processed once; a key that is added while it is processed is processed again
afterwards, never by two threads at once; a key that failed comes back after a pause that doubles.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable

FIRST_SECONDS = 0.005
MOST_SECONDS = 60.0  # what was broken is tried at least once a minute: nobody may be there to kick it


class WorkQueue:
    """Safe for many producers and many workers. `monotonic` is the clock of the delays, `most_seconds` the
    longest pause of a key that fails again and again."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, *, most_seconds: float = MOST_SECONDS
    ) -> None:
        self._monotonic = monotonic
        self._most = most_seconds
        self._changed = threading.Condition()  # guards everything below
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()  # waiting, or to be done again once it is done
        self._processing: set[str] = set()
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}  # the one that counts; other heap entries of the key are stale
        self._failures: dict[str, int] = {}
        self._down = False

    def add(self, key: str) -> None:
        with self._changed:
            self._add(key)

    def add_after(self, key: str, seconds: float) -> None:
        """Add the key later; of several delays of one key the shortest counts."""
        if seconds <= 0:
            self.add(key)
            return
        with self._changed:
            due = self._monotonic() + seconds
            if self._down or self._due.get(key, due + 1) <= due:
                return
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            self._changed.notify()

    def hurry(self) -> None:
        """Add all that wait for their time now: time is not what it was when they were put off."""
        with self._changed:
            for key in [*self._due]:
                del self._due[key]
                self._add(key)

    def add_rate_limited(self, key: str) -> None:
        """Add the key after its own back-off, which `forget` resets."""
        with self._changed:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
        self.add_after(key, min(self._most, FIRST_SECONDS * 2.0 ** min(failures, 32)))

    def forget(self, key: str) -> None:
        with self._changed:
            self._failures.pop(key, None)

    def get(self, timeout: float | None = None) -> str | None:
        """The next key, which the caller must give back with `done`; None when the time is up or the queue is
        shut down."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                if self._down:
                    return None
                next_due = self._release()
                if self._ready:
                    return self._take()
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(min(wait for wait in (left, next_due, 3600.0) if wait is not None))

    def done(self, key: str) -> None:
        with self._changed:
            self._processing.discard(key)
            if key in self._dirty:
                self._ready.append(key)
                self._changed.notify()

    def shut_down(self) -> None:
        """Wake all workers; nothing is taken in or given out any more."""
        with self._changed:
            self._down = True
            self._changed.notify_all()

    def __len__(self) -> int:
        """Keys that are ready, not those that wait for their time."""
        with self._changed:
            self._release()
            return len(self._ready)

    def _add(self, key: str) -> None:
        if self._down or key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._ready.append(key)
            self._changed.notify()

    def _take(self) -> str:
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def _release(self) -> float | None:
        """Add what is due; seconds until the next that is not."""
        now = self._monotonic()
        while self._heap:
            due, key = self._heap[0]
            if self._due.get(key) == due:
                if due > now:
                    return due - now
                del self._due[key]
                self._add(key)
            heapq.heappop(self._heap)
        return None
