"""Watches over what the host runs short of, every ten seconds by a few small files, and acts before the
kernel has to: has the disk tidied up, and ends one pod after the other until it is enough.

What is decided and in which order is `eviction`'s. Pods are ended as every pod is, by their worker, which is
told why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.kubelet.images.collector import ImageCollector
from mini8s.agent.kubelet.node import eviction
from mini8s.agent.kubelet.node.eviction import Candidate, Judgement, Observed, State, Used
from mini8s.agent.kubelet.settings import KubeletSettings, Threshold
from mini8s.agent.kubelet.usage import host_usage
from mini8s.agent.kubelet.usage.storage import PodStorage, Storage
from mini8s.agent.kubelet.usage.usage import PodUsage, Usage
from mini8s.agent.kubelet.view import Doom
from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime
from mini8s.agent.runtime.records import RunningPod
from mini8s.client.base import EventSink
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
SOON_SECONDS = 1.0
LEAVING_SECONDS = 30.0  # longest that the next pod waits for the one before it to be gone
HARD_GRACE_SECONDS = 1.0
REASON = "Evicted"
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the evictor looks at and acts on. `pod_of` finds a pod by uid; `doom` has its worker end it;
    `tell` takes an event about the node: type, reason, message; `changed` hears of other conditions."""

    usage: Usage
    storage: Callable[[], Storage]
    running: Callable[[], Iterable[RunningPod]]
    pod_of: Callable[[str], Obj | None]
    doom: Callable[[str, Doom], None]
    collector: ImageCollector
    runtime: Runtime
    events: EventSink
    tell: Callable[[str, str, str], None]
    changed: Callable[[], None]
    clock: Clock
    proc: Path = PROC


class Evictor:
    def __init__(self, settings: KubeletSettings, around: Surroundings) -> None:
        self.conditions: frozenset[str] = frozenset()  # of the node, as the last look judged them
        self._settings = settings
        self._around = around
        self._state = State()
        self._leaving: tuple[str, float] | None = (
            None  # who was evicted last, and until when it is waited for
        )

    def step(self) -> float:
        """One look; seconds until the next."""
        if self._still_leaving():
            return SOON_SECONDS
        observed = self._observe()
        judged = eviction.judge(self._settings, observed, self._state, self._around.clock.monotonic())
        self._state = judged.state
        if judged.conditions != self.conditions:
            self.conditions = judged.conditions
            self._around.changed()
        try:
            if not self._evict_limited() and judged.due:
                self._relieve(judged, observed)
        except EngineDown as error:
            log.warning("nothing can be evicted: %s", error)
        return SOON_SECONDS if self._leaving else EVERY_SECONDS

    def refusal(self, pod: Obj) -> Doom | None:
        """Why a pod that comes now is not begun."""
        message = eviction.refused(pod, self.conditions)
        return Doom(REASON, message) if message else None

    def _observe(self) -> Mapping[str, Observed]:
        available, capacity = host_usage.memory_available((self._around.proc / "meminfo").read_text())
        running, most = host_usage.processes(
            *((self._around.proc / name).read_text() for name in ("loadavg", *host_usage.PROCESS_LIMITS))
        )
        files = self._around.storage().filesystems()
        found = {
            "memory.available": Observed(available, capacity),
            "pid.available": Observed(most - running, most),
        }
        for name, space in (("nodefs", files.node), ("imagefs", files.image)):
            found[f"{name}.available"] = Observed(space.available, space.capacity)
            if space.inodes:  # some filesystems have as many as they need
                found[f"{name}.inodesFree"] = Observed(space.inodes_free, space.inodes)
        return found

    def _still_leaving(self) -> bool:
        if self._leaving is None:
            return False
        uid, until = self._leaving
        alive = any(
            one.uid == uid and any(c.running for c in one.containers) for one in self._around.running()
        )
        if alive and self._around.clock.monotonic() < until:
            return True
        self._leaving = None
        return False

    def _evict_limited(self) -> bool:
        """Pods that keep more on the disk than they may."""
        limited = [
            (pod, running)
            for running in self._around.running()
            if (pod := self._active(running.uid)) is not None and eviction.is_limited(pod)
        ]
        storage, evicted = self._around.storage(), False
        for pod, running in limited:
            message = eviction.beyond_limits(_on_disk(pod, running, storage.pod(pod, running)))
            if message:
                self._evict(pod, message, HARD_GRACE_SECONDS)
                evicted = True
        return evicted

    def _relieve(self, judged: Judgement, observed: Mapping[str, Observed]) -> None:
        """Have the host give back what it can; then, if that was not enough, one pod goes."""
        worst = judged.due[0]
        what = eviction.resource(worst.signal)
        self._around.tell("Warning", "EvictionThresholdMet", f"Attempting to reclaim {what}")
        if eviction.condition(worst) == eviction.DISK:
            self._tidy_up()
            observed = self._observe()
            if not eviction.exceeded(observed, worst):
                log.info("%s is back within bounds, no pod has to go", what)
                return
        ranked = eviction.ranked(self._candidates(worst), worst.signal)
        if not ranked:
            log.warning("the host is short of %s, and there is no pod to evict", what)
            return
        grace = HARD_GRACE_SECONDS if worst.hard else self._settings.most_grace_seconds
        self._evict(ranked[0].pod, eviction.message(worst, observed[worst.signal], ranked[0]), grace)

    def _tidy_up(self) -> None:
        """Records of containers that were started again since, and images that nobody uses."""
        for pod in self._around.running():
            for one in pod.containers:
                if one.ended and pod.newest(one.name) is not one:
                    try:
                        self._around.runtime.remove_container(one.id)
                    except EngineDown:
                        raise
                    except EngineError as error:
                        log.info("container %s stays: %s", one.id[:12], error)
        self._around.collector.free_all()

    def _candidates(self, worst: Threshold) -> Iterable[Candidate]:
        """Pods that run, with what they use of what is short."""
        storage, place = self._around.storage(), worst.signal.partition(".")[0]
        for used in self._around.usage.now().pods:
            pod = self._active(used.pod.uid)
            if pod is None or not used.containers:
                continue
            if eviction.condition(worst) == eviction.DISK:
                apart = "" if storage.shared else place
                yield _on_disk(pod, used.pod, storage.pod(pod, used.pod), place=apart)
            else:
                yield _in_memory(pod, used)

    def _active(self, uid: str) -> Obj | None:
        pod = self._around.pod_of(uid)
        return pod if pod is not None and pods.is_active(pod) else None

    def _evict(self, pod: Obj, message: str, grace_seconds: float) -> None:
        log.warning("pod %s is evicted: %s", meta.key(pod), message)
        self._around.events.event(pod, "Warning", REASON, message)
        self._around.doom(meta.uid(pod), Doom(REASON, message, grace_seconds, disrupts=True))
        self._leaving = (meta.uid(pod), self._around.clock.monotonic() + LEAVING_SECONDS)


def _in_memory(pod: Obj, used: PodUsage) -> Candidate:
    each = tuple(Used(one.container.name, memory=one.reading.working_set) for one in used.containers)
    return Candidate(pod, each, memory=used.reading.working_set, processes=used.reading.processes)


def _on_disk(pod: Obj, running: RunningPod, held: PodStorage, *, place: str = "") -> Candidate:
    """`place`: only what lies on nodefs (volumes) or on imagefs (layers and logs); else both."""
    names = {one.id: one.name for one in running.containers}
    each = tuple(
        Used(names[key], disk=found.taken.bytes, inodes=found.taken.inodes)
        for key, found in held.containers.items()
        if place != "nodefs"
    )
    own = [one for one in held.volumes if not one.own and not one.claim and place != "imagefs"]
    return Candidate(
        pod,
        each,
        disk=sum(one.disk for one in each) + sum(one.taken.bytes for one in own),
        inodes=sum(one.inodes for one in each) + sum(one.taken.inodes for one in own),
        volumes={one.name: one.taken.bytes for one in held.volumes},
    )
