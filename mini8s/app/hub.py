"""gevent beside native threads: the store's `Loop` for a process whose one Python loop is gevent's hub.

`patch` must run before anything else of the process imports ssl, socket or threading. Native threads come
from what the standard library had before patching; they reach the hub by one libev async watcher, so that any
number of callbacks costs one wake-up.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import gevent
from gevent import monkey
from gevent.event import Event

log = logging.getLogger(__name__)


def patch() -> None:
    """Make the standard library cooperative. Safe to call twice."""
    gevent.config.track_greenlet_tree = False  # who spawned whom: a look at the stack for each connection
    if not monkey.is_module_patched("socket"):
        monkey.patch_all()


class GreenletTicket:
    """Blocks one greenlet; the hub wakes it."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = Event()

    def wait(self) -> None:
        self._event.wait()

    def done(self) -> None:
        self._event.set()


class GeventLoop:
    """`store.base.Loop` on the hub of the thread that makes it."""

    def __init__(self) -> None:
        self._due: deque[Callable[[], None]] = deque()
        self._start_new_thread = monkey.get_original("_thread", "start_new_thread")
        self._wake = gevent.get_hub().loop.async_()
        self._wake.start(self._run_due)

    def start_thread(self, run: Callable[[], None], name: str) -> None:
        def body() -> None:
            try:
                run()
            except Exception:
                log.exception("thread %s ended", name)

        self._start_new_thread(body, ())

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._due.append(callback)
        self._wake.send()

    def ticket(self) -> GreenletTicket:
        return GreenletTicket()

    def guard(self) -> AbstractContextManager[object]:
        """Greenlets go on until they wait."""
        return nullcontext()

    def close(self) -> None:
        self._wake.stop()
        self._wake.close()

    def _run_due(self) -> None:
        for _ in range(len(self._due)):  # what a callback adds comes next time: the loop must go round
            try:
                self._due.popleft()()
            except Exception:
                log.exception("a callback on the loop failed")
        if self._due:
            self._wake.send()
