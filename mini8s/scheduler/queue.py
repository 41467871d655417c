"""Which pods wait for a node, and until when.

A pod is active (to be tried now), backing off (tried in vain a moment ago) or unschedulable (waits for the
cluster to change). Order among active pods: higher priority first, then who came first. Times are monotonic
seconds given by the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Flag, auto

from mini8s.scheduler.base import PodFacts
from mini8s.util.backoff import Backoff

FIRST_BACKOFF, MOST_BACKOFF = 1.0, 10.0  # kube-scheduler's podInitialBackoffSeconds and podMaxBackoffSeconds
UNSCHEDULABLE_SECONDS = 300.0  # tried again after this even if nothing seemed to change


class Change(Flag):
    """What kind of change may let in a pod that was refused (kube-scheduler's queueing hints)."""

    NODE = auto()  # one came, or is not what it was
    ROOM = auto()  # a pod went, or asks for less
    OTHERS = auto()  # pods came, went, or are called otherwise: for who minds them
    STORAGE = auto()


ANY = Change.NODE | Change.ROOM | Change.OTHERS | Change.STORAGE


@dataclass(slots=True)
class _Waiting:
    pod: PodFacts
    since: int
    seen: int = 0  # how many changes there had been when it was last taken, so before it was decided on
    due: float = 0.0
    retry: float = 0.0  # when it may be tried if a change of `cures` comes
    cures: Change = ANY
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_BACKOFF, MOST_BACKOFF))


class Queue:
    """Thread-safe: the scheduler's cycle adds, wakes and takes, its binders put off, informers stir."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the table; notified when something may have become due
        self._waiting: dict[str, _Waiting] = {}
        self._resting: dict[str, _Waiting] = {}  # those of them that wait for a change
        self._arrivals = 0
        self._changes = 0
        self._last = dict.fromkeys(ANY, 0)  # the number of the last change of each kind
        self._stirred = False

    def add(self, pod: PodFacts) -> None:
        """A pod that has no node; what is known about its failures stays."""
        with self._changed:
            known = self._waiting.get(pod.key)
            if known and known.pod.uid == pod.uid:
                same = replace(known.pod, nominated=pod.nominated) == pod
                known.pod = pod
                if not same:
                    known.due = 0.0
                    self._resting.pop(pod.key, None)
            else:
                self._arrivals += 1
                self._resting.pop(pod.key, None)
                self._waiting[pod.key] = _Waiting(pod, self._arrivals)
            self._changed.notify()

    def forget(self, key: str) -> None:
        """The pod has a node, or is gone."""
        with self._changed:
            self._waiting.pop(key, None)
            self._resting.pop(key, None)

    def changed(self, change: Change) -> None:
        """The cluster is not what it was: whom that may help is tried after its back-off."""
        with self._changed:
            self._changes += 1
            for kind in change:
                self._last[kind] = self._changes
            for waiting in [one for one in self._resting.values() if one.cures & change]:
                self._wake(waiting)
            self._changed.notify()

    def stir(self) -> None:
        """Let `wait` return: there is something to take in."""
        with self._changed:
            self._stirred = True
            self._changed.notify()

    def failed(self, key: str, now: float, *, cures: Change | None = None) -> None:
        """Put off a pod that was tried: for its back-off, and with `cures`, until a change of such a kind
        (unless there was one while it was tried)."""
        with self._changed:
            waiting = self._waiting.get(key)
            if waiting is None:
                return
            due = now + waiting.backoff.failed()
            waits = cures is not None and not self._missed(waiting, cures)
            self._put_off(waiting, due, cures if waits else None, now)

    def rest(self, key: str, now: float) -> None:
        """Put off a pod that has its node and waits for its volumes: until there is a change (unless there
        was one meanwhile), and then at once."""
        with self._changed:
            waiting = self._waiting.get(key)
            if waiting is not None:
                self._put_off(waiting, now, None if self._missed(waiting, ANY) else ANY, now)

    def due(self, now: float, most: int) -> Sequence[PodFacts]:
        """The pods to be tried now, best first. They stay until `forget` or `failed`."""
        with self._changed:
            found = [waiting for waiting in self._waiting.values() if waiting.due <= now]
            found.sort(key=lambda item: (-item.pod.priority, item.since))
            del found[most:]
            for waiting in found:
                waiting.seen = self._changes
                self._resting.pop(waiting.pod.key, None)
        return [item.pod for item in found]

    def wait(self, now: float, longest: float) -> None:
        """Sleep until something is due, was stirred, or `longest` seconds have passed."""
        with self._changed:
            pause = min((item.due - now for item in self._waiting.values()), default=longest)
            if pause > 0 and not self._stirred:
                self._changed.wait(min(pause, longest))
            self._stirred = False

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting)

    def _put_off(self, waiting: _Waiting, due: float, cures: Change | None, now: float) -> None:
        """Until it is due, or with `cures` until such a change, and then not before it is due."""
        if cures is None:
            waiting.due = due
            return
        waiting.due, waiting.retry, waiting.cures = now + UNSCHEDULABLE_SECONDS, due, cures
        self._resting[waiting.pod.key] = waiting

    def _wake(self, waiting: _Waiting) -> None:
        waiting.due = waiting.retry
        del self._resting[waiting.pod.key]

    def _missed(self, waiting: _Waiting, cures: Change) -> bool:
        return any(self._last[kind] > waiting.seen for kind in cures)
