"""The default way a store lives in a program: plain threads.

One thread runs the callbacks in the order they came. A program with a loop of its own gives the store that
instead (`base.Loop`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue

log = logging.getLogger(__name__)


class ThreadTicket:
    """A bare lock: an Event costs a microsecond more on every write."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self) -> None:
        self._lock.acquire()

    def done(self) -> None:
        self._lock.release()


class ThreadLoop:
    """Callbacks on a thread of their own, until `stop`."""

    def __init__(self, name: str = "store-loop") -> None:
        self._callbacks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def start_thread(self, run: Callable[[], None], name: str) -> None:
        threading.Thread(target=run, name=name, daemon=True).start()

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._callbacks.put(callback)

    def ticket(self) -> ThreadTicket:
        return ThreadTicket()

    def guard(self) -> AbstractContextManager[object]:
        return threading.RLock()

    def stop(self) -> None:
        """Run what has been called so far, then end."""
        self._callbacks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (callback := self._callbacks.get()) is not None:
            try:
                callback()
            except Exception:
                log.exception("a callback of the store failed")
