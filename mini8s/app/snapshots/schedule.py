"""Snapshots by the clock, in the control process.

What is due follows from when the last one was tried, so that one that was missed while the server was off is
made up for at its start, once, and a failure is tried again before the schedule's next turn.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from mini8s.app.snapshots.base import SnapshotError
from mini8s.app.snapshots.note import Last
from mini8s.client.base import EventSink
from mini8s.objects.cron import Times
from mini8s.objects.kinds import Obj
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

AGAIN = timedelta(minutes=10)  # after a failure
LOOK_SECONDS = 60.0  # a clock that is set must not make it sleep for a day


def due(times: Times, last: Last, started: datetime, now: datetime, zone: tzinfo) -> datetime | None:
    """When the next one is to be taken; not later than now: it is due. None: never. A last try that lies in
    the future was of a clock that was wrong."""
    tried = last.tried_at
    since = tried if tried and tried <= now else started
    following = times.after(since, zone)
    if last.error and tried:
        return min(following or since + AGAIN, since + AGAIN)
    return following


class Snapshots:
    """`take` makes one and returns a sentence; `last` tells of the last."""

    def __init__(
        self,
        times: Times,
        *,
        take: Callable[[], str],
        last: Callable[[], Last],
        events: EventSink,
        node: str,
        clock: Clock,
        zone: tzinfo,
    ) -> None:
        self._times = times
        self._take = take
        self._last = last
        self._events = events
        self._node = node
        self._clock = clock
        self._zone = zone
        self._started = clock.now()
        self._failed = Last()  # the last try that failed

    def step(self) -> float:
        """A worker's round: seconds to the next look."""
        now = self._clock.now()
        self._started = min(self._started, now)  # the clock was set back
        last = self._last()
        if last.tried < self._failed.tried:  # where nothing can be written, the try could not be noted either
            last = self._failed
        when = due(self._times, last, self._started, now, self._zone)
        if when is None:
            return LOOK_SECONDS
        if when > now:
            return min(LOOK_SECONDS, (when - now).total_seconds())
        self._started = now
        try:
            said = self._take()
        except SnapshotError as error:
            self._failed = Last(tried=now.timestamp(), error=str(error))
            log.warning("%s", error)
            self._events.event(self._about(), "Warning", "SnapshotFailed", str(error))
        else:
            log.info("%s", said)
            self._events.event(self._about(), "Normal", "SnapshotTaken", said)
        return 1.0

    def _about(self) -> Obj:
        """The server's node, by which events of hosts go (its uid is its name, as kubelets have it)."""
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._node, "uid": self._node}}


def in_process(data_dir: str, why: str) -> str:
    """Take one in a short-lived process; a sentence about it. Raises SnapshotError."""
    done = subprocess.run(
        [sys.executable, "-m", "mini8s.app.snapshots.run", data_dir, why],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SnapshotError(done.stderr.strip().rpartition("\n")[2] or f"it ended with {done.returncode}")
    return done.stdout.strip()
