"""Which pods wait for a node, and until when.

A pod is active (to be tried now), backing off (tried in vain a moment ago) or unschedulable (waits for the
cluster to change). Order among active pods: higher priority first, then who came first. Times are monotonic
seconds given by the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mini8s.scheduler.base import PodFacts
from mini8s.util.backoff import Backoff

FIRST_BACKOFF, MOST_BACKOFF = 1.0, 10.0  # kube-scheduler's podInitialBackoffSeconds and podMaxBackoffSeconds
UNSCHEDULABLE_SECONDS = 300.0  # tried again after this even if nothing seemed to change


@dataclass(slots=True)
class _Waiting:
    pod: PodFacts
    since: int
    seen: tuple[
        int, int
    ]  # changes of the cluster there had been when it was last taken, so before the picture was made
    due: float = 0.0
    retry_on_change: float | None = None  # when it may be tried if the cluster changes; None: it is active
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_BACKOFF, MOST_BACKOFF))


class Queue:
    """Thread-safe: informers add and wake, the scheduler's loop takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the table; notified when something may have become due
        self._waiting: dict[str, _Waiting] = {}
        self._arrivals = 0
        self._changes = 0  # of what may concern any pod
        self._moves = 0  # of what concerns only pods that mind others

    def add(self, pod: PodFacts) -> None:
        """A pod that has no node; what is known about its failures stays."""
        with self._changed:
            known = self._waiting.get(pod.key)
            if known and known.pod.uid == pod.uid:
                if known.pod != pod:
                    known.pod, known.due, known.retry_on_change = pod, 0.0, None
            else:
                self._arrivals += 1
                self._waiting[pod.key] = _Waiting(pod, self._arrivals, self._seen(pod))
            self._changed.notify()

    def forget(self, key: str) -> None:
        """The pod has a node, or is gone."""
        with self._changed:
            self._waiting.pop(key, None)

    def cluster_changed(self) -> None:
        """Nodes or placed pods are not what they were: what was unschedulable may fit now, after its
        back-off."""
        with self._changed:
            self._changes += 1
            self._wake(self._waiting.values())

    def pods_moved(self) -> None:
        """A pod came, or is on its way out: this can only let in who minds where others are."""
        with self._changed:
            self._moves += 1
            self._wake(waiting for waiting in self._waiting.values() if _minds_others(waiting.pod))

    def _wake(self, those: Iterable[_Waiting]) -> None:
        for waiting in those:
            if waiting.retry_on_change is not None:
                waiting.due, waiting.retry_on_change = waiting.retry_on_change, None
        self._changed.notify()

    def _seen(self, pod: PodFacts) -> tuple[int, int]:
        return self._changes, self._moves if _minds_others(pod) else 0

    def failed(self, key: str, now: float, *, unschedulable: bool) -> None:
        """Put off a pod that was tried: for its back-off, and if it fits nowhere, until the cluster changes
        (unless it did while the pod was tried: the picture may have been older)."""
        with self._changed:
            waiting = self._waiting.get(key)
            if waiting is None:
                return
            due = now + waiting.backoff.failed()
            waits = unschedulable and waiting.seen == self._seen(waiting.pod)
            waiting.due = now + UNSCHEDULABLE_SECONDS if waits else due
            waiting.retry_on_change = due if waits else None

    def rest(self, key: str, now: float) -> None:
        """Put off a pod that has its node and waits for somebody else: until the cluster changes (unless it
        did meanwhile), and then at once."""
        with self._changed:
            waiting = self._waiting.get(key)
            if waiting is not None:
                changed = waiting.seen != self._seen(waiting.pod)
                waiting.due = now if changed else now + UNSCHEDULABLE_SECONDS
                waiting.retry_on_change = None if changed else now

    def due(self, now: float) -> Sequence[PodFacts]:
        """Every pod to be tried now, best first. They stay until `forget` or `failed`."""
        with self._changed:
            found = [waiting for waiting in self._waiting.values() if waiting.due <= now]
            for waiting in found:
                waiting.seen = self._seen(waiting.pod)
        return [item.pod for item in sorted(found, key=lambda item: (-item.pod.priority, item.since))]

    def wait(self, now: float, longest: float) -> None:
        """Sleep until something is due, may be due, or `longest` seconds have passed."""
        with self._changed:
            pause = min((item.due - now for item in self._waiting.values()), default=longest)
            if pause > 0:
                self._changed.wait(min(pause, longest))

    def __len__(self) -> int:
        with self._changed:
            return len(self._waiting)


def _minds_others(pod: PodFacts) -> bool:
    return bool(pod.spread) or pod.affine
