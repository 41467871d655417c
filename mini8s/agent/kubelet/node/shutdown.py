"""The host goes down: its pods end first, in order, while the shutdown waits.

Common pods have all of `shutdown-grace-period` but what is kept for critical ones, which come last
(KEP-2000). The node says at once that it is not ready, and takes no more pods.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Protocol

from mini8s.agent.kubelet.node import eviction
from mini8s.agent.kubelet.node.logind import Announcements, Inhibitor, NoLogind
from mini8s.agent.kubelet.settings import KubeletSettings
from mini8s.agent.kubelet.view import Doom
from mini8s.agent.runtime.records import RunningPod
from mini8s.objects.kinds import Obj
from mini8s.util.clock import Clock
from mini8s.util.log import OnChange

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
LOOK_SECONDS = 0.2  # how often it is looked whether pods have ended
REASON, MESSAGE = "Terminated", "Pod was terminated in response to imminent node shutdown."
REFUSED = Doom("NodeShutdown", "Pod was rejected as the node is shutting down.")


class LoginManager(Protocol):
    """See `logind.Logind`. All raise NoLogind."""

    def inhibit(self) -> Inhibitor: ...

    def announcements(self) -> Announcements: ...

    def longest_delay(self) -> float: ...

    def allow_delay(self, seconds: float) -> None: ...


class Shutdown:
    """`begun` is set while the host goes down. `doom` has a pod's worker end it, `changed` hears of news for
    the node's status, `pause` waits, and returns true when all is to end."""

    def __init__(
        self,
        *,
        settings: KubeletSettings,
        login: LoginManager,
        running: Callable[[], Iterable[RunningPod]],
        pod_of: Callable[[str], Obj | None],
        doom: Callable[[str, Doom], None],
        changed: Callable[[], None],
        pause: Callable[[float], bool],
        clock: Clock,
    ) -> None:
        self.begun = False
        self._settings, self._login = settings, login
        self._running, self._pod_of, self._doom = running, pod_of, doom
        self._changed, self._pause, self._clock = changed, pause, clock
        self._said = OnChange(log)
        self._lock = threading.Lock()  # guards the two below
        self._heard: Announcements | None = None
        self._closed = False

    @property
    def wanted(self) -> bool:
        return self._settings.shutdown_seconds > 0

    def step(self) -> float:
        """Hold shutdowns up, and listen, until that ends; seconds until the next try."""
        try:
            self._make_room()
            announcements = self._listen()
            if announcements is not None:
                with closing(announcements):
                    self._follow(announcements)
            return RETRY_SECONDS
        except (NoLogind, OSError) as error:
            self._said.say(f"a shutdown of this host will not wait for its pods: {error}")
            return RETRY_SECONDS

    def close(self) -> None:
        with self._lock:
            self._closed, heard = True, self._heard
        if heard is not None:
            heard.close()

    def _make_room(self) -> None:
        """The login manager waits five seconds unless it is told otherwise."""
        wanted = self._settings.shutdown_seconds
        if self._login.longest_delay() < wanted:
            self._login.allow_delay(wanted)
            if (found := self._login.longest_delay()) < wanted:
                log.warning("a shutdown waits for %g s only, not for %g: InhibitDelayMaxSec", found, wanted)

    def _listen(self) -> Announcements | None:
        with self._lock:
            if not self._closed:
                self._heard = self._login.announcements()
            return self._heard

    def _follow(self, announcements: Announcements) -> None:
        """An inhibitor is let go when the pods have ended, and is taken anew when the host stays up."""
        inhibitor = self._login.inhibit()
        self._said.say(f"a shutdown of this host waits {self._settings.shutdown_seconds:g} s for its pods")
        try:
            for begins in announcements:
                self.begun = begins
                self._changed()
                if begins:
                    self.end_pods()
                    inhibitor.release()
                else:
                    inhibitor = self._login.inhibit()
        finally:
            inhibitor.release()

    def end_pods(self) -> None:
        """All of this host's, the critical ones last; returns when they have ended or their time is up."""
        kept = self._settings.shutdown_critical_seconds
        log.info("the host shuts down: its pods end")
        self._end(critical=False, seconds=self._settings.shutdown_seconds - kept)
        self._end(critical=True, seconds=kept)

    def _end(self, *, critical: bool, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        for uid in self._alive(critical=critical):
            self._doom(uid, Doom(REASON, MESSAGE, seconds, disrupts=True))
        while self._alive(critical=critical) and self._clock.monotonic() < until:
            if self._pause(LOOK_SECONDS):
                return

    def _alive(self, *, critical: bool) -> list[str]:
        found = []
        for one in self._running():
            pod = self._pod_of(one.uid)
            alive = any(container.running for container in one.containers)
            if pod and alive and (eviction.priority(pod) >= eviction.CRITICAL) == critical:
                found.append(one.uid)
        return found
