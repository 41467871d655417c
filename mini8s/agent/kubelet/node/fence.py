"""Pods that must not run while their host may be taken for lost: `mini8s.io/on-node-lost: fence`.

Two hosts can't ask each other, so both count. This one stops such pods by itself when it could not renew its
lease for as long as the lease lasts, counted from before it asked: the server can't have taken the renewal
earlier. The server counts from when it saw the renewal, which is later, and waits longer: the lease, half as
long again, and the pod's own grace (`controllers/kinds/tainteviction.py`). Both measure durations on their
own clock that nobody can set; what may differ is only how fast they run, and that half is for it, for the
time that this takes to act, and for an agent that is started again. A host that slept counts its sleep.

Nothing is known of earlier renewals when an agent starts. What runs then has a quarter of the lease to be
confirmed; what does not run waits for the first renewal, after a reboot too. A renewal alone begins nothing:
what is known of a pod may be older than the lease, so the server is asked whether it still wants it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from mini8s.agent.kubelet.static.manifests import is_static
from mini8s.agent.kubelet.view import Doom
from mini8s.client.base import Api
from mini8s.objects import meta, pods
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import PODS, Obj
from mini8s.util.clock import since_boot
from mini8s.util.log import OnChange

log = logging.getLogger(__name__)

LOST = Doom(
    "NodeLost",
    "The node could not renew its lease, so it stopped the pod: it may be started elsewhere.",
    disrupts=True,
)
LOOK_SECONDS = 1.0
START_SHARE = 0.25  # of the lease: a renewal is due so often


class Fence:
    """`wake` has a pod looked at again."""

    def __init__(
        self,
        seconds: float,
        api: Api,
        pods: Callable[[], Iterable[Obj]],
        wake: Callable[[str], None],
        ticks: Callable[[], float] = since_boot,
    ) -> None:
        self.ticks = ticks
        self._seconds, self._api, self._pods, self._wake = seconds, api, pods, wake
        self._renewed: float | None = None
        self._began = ticks()
        self._told = False
        self._said = OnChange(log)

    def renewed(self, asked: float) -> None:
        """The server took the renewal that it was asked for at that tick."""
        self._renewed = asked

    def lost(self, pod: Obj) -> bool:
        """Whether it is to end if it runs."""
        return _fenced(pod) and self._left() <= 0

    def may_begin(self, pod: Obj) -> bool:
        """Of one that does not run."""
        if not _fenced(pod):
            return True
        return self._renewed is not None and self._left() > 0 and self._is_wanted(pod)

    def step(self) -> float:
        """Wake the pods when the lease has run out; seconds until the next look. A wait does not
        count the host's sleep, so with such pods it is short."""
        fenced = [pod for pod in self._pods() if _fenced(pod)]
        left = self._left()
        if left > 0:
            self._told = False
            return min(left, LOOK_SECONDS) if fenced else left
        if not self._told:
            self._told = True
            for pod in fenced:
                self._wake(meta.uid(pod))
        return self._seconds * START_SHARE

    def _is_wanted(self, pod: Obj) -> bool:
        """By the server, now. A static pod is wanted by this host alone."""
        if is_static(meta.uid(pod)):
            return True
        try:
            found = self._api.get(PODS, meta.namespace(pod), meta.name(pod))
        except ApiError as error:
            self._said.say(f"fenced pod {meta.key(pod)} is not begun: {error}")
            return False
        return meta.uid(found) == meta.uid(pod) and not meta.deleting(found)

    def _left(self) -> float:
        """Seconds until the lease has run out."""
        if self._renewed is None:
            return self._began + self._seconds * START_SHARE - self.ticks()
        return self._renewed + self._seconds - self.ticks()


def _fenced(pod: Obj) -> bool:
    return pods.on_node_lost(pod) == pods.FENCE
