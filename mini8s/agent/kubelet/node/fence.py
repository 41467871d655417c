"""Pods that must not run while their host may be taken for lost: `mini8s.io/on-node-lost: fence`.

Two hosts can't ask each other, so both count. This one stops such pods by itself when it could not renew its
lease for as long as the lease lasts, counted from before it asked: the server can't have taken the renewal
earlier. The server counts from when it saw the renewal, which is later, and waits longer: the lease, half as
long again, and the pod's own grace (`controllers/kinds/tainteviction.py`). Both measure durations on their
own clock that nobody can set; what may differ is only how fast they run, and that half is for it, for the
time that this takes to act, and for an agent that is started again. A host that slept counts its sleep.

Nothing is known of earlier renewals when an agent starts. What runs then has a quarter of the lease to be
confirmed; what does not run waits for the first renewal, after a reboot too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from mini8s.agent.kubelet.view import Doom
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj
from mini8s.util.clock import since_boot

LOST = Doom(
    "NodeLost",
    "The node could not renew its lease, so it stopped the pod: it may be started elsewhere.",
    disrupts=True,
)
LOOK_SECONDS = 1.0
START_SHARE = 0.25  # of the lease: a renewal is due so often


class Standing(Enum):
    FREE = "free"
    WAITS = "waits"  # for a renewal: it goes on if it runs, and is not begun
    LOST = "lost"  # it ends if it runs, and is not begun


class Fence:
    """`wake` has a pod looked at again."""

    def __init__(
        self,
        seconds: float,
        pods: Callable[[], Iterable[Obj]],
        wake: Callable[[str], None],
        ticks: Callable[[], float] = since_boot,
    ) -> None:
        self.ticks = ticks
        self._seconds, self._pods, self._wake = seconds, pods, wake
        self._renewed: float | None = None
        self._began = ticks()
        self._told = False

    def renewed(self, asked: float) -> None:
        """The server took the renewal that it was asked for at that tick."""
        self._renewed = asked

    def standing(self, pod: Obj) -> Standing:
        if pods.on_node_lost(pod) != pods.FENCE:
            return Standing.FREE
        if self._left() <= 0:
            return Standing.LOST
        return Standing.FREE if self._renewed is not None else Standing.WAITS

    def step(self) -> float:
        """Wake the pods when the lease has run out; seconds until the next look. A wait does not
        count the host's sleep, so with such pods it is short."""
        fenced = [pod for pod in self._pods() if pods.on_node_lost(pod) == pods.FENCE]
        left = self._left()
        if left > 0:
            self._told = False
            return min(left, LOOK_SECONDS) if fenced else left
        if not self._told:
            self._told = True
            for pod in fenced:
                self._wake(meta.uid(pod))
        return self._seconds * START_SHARE

    def _left(self) -> float:
        """Seconds until the lease has run out."""
        if self._renewed is None:
            return self._began + self._seconds * START_SHARE - self.ticks()
        return self._renewed + self._seconds - self.ticks()
