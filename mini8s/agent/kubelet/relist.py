"""Sees what changes in the engine: its events as they come, and a slow relist behind them for those that were
lost. Nothing is concluded here; a pod's uid goes on the queue, and its worker looks for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from mini8s.agent.runtime.base import EngineDown, Runtime
from mini8s.agent.runtime.records import Trace
from mini8s.util.workers import Stop

RELIST_SECONDS = 30.0
RETRY_SECONDS = 2.0


class Relist:
    """`changed` is called with the uid of each pod that changed; `trouble` says why the engine can't be
    used, "" also before the first look: an agent that starts again must not call its node NotReady, which
    would take every pod on it out of service."""

    def __init__(self, runtime: Runtime, changed: Callable[[str], None], stop: Stop) -> None:
        self.trouble = ""
        self._runtime = runtime
        self._changed = changed
        self._stop = stop
        self._traces: Mapping[str, Trace] = {}
        self._again = threading.Event()

    @property
    def uids(self) -> Iterable[str]:
        """The pods of which anything was there at the last look."""
        return self._traces.keys()

    def relist(self) -> float:
        """One round: what differs from the last one; the pause until the next."""
        try:
            traces = self._runtime.pods()
        except EngineDown as error:
            self.trouble = str(error)
            return RETRY_SECONDS
        self.trouble = ""
        before, self._traces = self._traces, traces
        for uid in traces.keys() | before.keys():
            if traces.get(uid) != before.get(uid):
                self._changed(uid)
        return RELIST_SECONDS

    def wait(self) -> float:
        """A round of the relist's thread: list, then sleep until it is time or the events ended."""
        pause = self.relist()
        self._again.wait(pause)
        self._again.clear()
        return 0.0

    def listen(self) -> float:
        """A round of the listener's thread: until the engine's stream of events ends."""
        try:
            for uid in self._runtime.changes():
                self._changed(uid)
                if self._stop:
                    return 0.0
        except EngineDown as error:
            self.trouble = str(error)
        self.wake()
        return RETRY_SECONDS

    def wake(self) -> None:
        """List now: events may have been lost, or it is time to stop."""
        self._again.set()
