"""A thread with a stop, a back-off and a heartbeat: the only way a loop runs in mini8s.

The loop's body is a finite function that a test calls by itself; the worker repeats it. What it raises is
logged once and repeated with a growing pause, never swallowed and never fatal to the process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from mini8s.util.backoff import Backoff

log = logging.getLogger(__name__)


class Stop:
    """One event that all workers of a process share: set once, never cleared."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep, but wake at the stop; whether it has come."""
        return self._event.wait(seconds)

    def __bool__(self) -> bool:
        return self._event.is_set()


class Worker:
    """Repeats `step` until the stop.

    `step` returns the seconds to pause before the next round (None: `every`). `heartbeat` is the monotonic
    time at which the last round ended.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        stop: Stop,
        *,
        every: float = 0.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self.heartbeat = time.monotonic()
        self._step = step
        self._stop = stop
        self._every = every
        self._backoff = backoff or Backoff()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Worker:
        self._thread.start()
        return self

    def join(self, seconds: float | None = None) -> bool:
        """Wait for the thread to end; whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop:
            pause = self._round()
            self.heartbeat = time.monotonic()
            if pause > 0:
                self._stop.wait(pause)

    def _round(self) -> float:
        try:
            pause = self._step()
        except Exception:
            wait = self._backoff.failed()
            log.exception("%s failed, next try in %.1f s", self.name, wait)
            return wait
        self._backoff.succeeded()
        return self._every if pause is None else pause
