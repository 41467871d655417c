"""Asks the probes when they are due: one thread keeps the time, a small pool asks, and another one those that
are commands, so that an engine which hangs keeps nobody else from being asked.

A probe belongs to one container of one attempt; with the container it goes. What the answers add up to is
read by the plan, and a pod whose result changed is looked at again. Time is measured by the clock that only
rises: a host without a battery may set the other one by years.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from mini8s.agent.kubelet.images.images import field_path
from mini8s.agent.kubelet.probes.checks import Answer, Outcome, ask
from mini8s.agent.kubelet.probes.handlers import Exec
from mini8s.agent.kubelet.probes.verdicts import (
    Probe,
    Tally,
    count,
    known_before,
    probes_of,
    settled,
    verdict,
)
from mini8s.agent.kubelet.view import Verdict, View
from mini8s.agent.runtime.base import Runtime
from mini8s.agent.runtime.records import RunningPod
from mini8s.client.base import EventSink
from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

THREADS = 32  # at most: they are made when all that there are wait for an answer
COMMAND_THREADS = 4  # a command costs the engine 60 to 90 ms of a core: more at once would only be slower
TOLD = {
    Outcome.WARNING: ("ProbeWarning", "warning"),
    Outcome.FAILURE: ("Unhealthy", "failed"),
    Outcome.UNKNOWN: ("Unhealthy", "errored and resulted in unknown state"),
}
IDLE_SECONDS = 3600.0
Key = tuple[str, str]  # container id, type


@dataclass(slots=True)
class _Asked:
    probe: Probe
    pod: Obj
    due: float = 0.0  # monotonic
    tally: Tally = field(default_factory=Tally)


class Prober:
    """`changed` is called with a pod's uid when a probe's result changed."""

    def __init__(
        self, runtime: Runtime, events: EventSink, clock: Clock, changed: Callable[[str], None]
    ) -> None:
        self._runtime = runtime
        self._events = events
        self._clock = clock
        self._changed = changed
        self._wake = threading.Condition()  # guards the tables below
        self._pods: dict[str, dict[Key, _Asked]] = {}
        self._specs: dict[str, dict[str, Obj]] = {}  # by uid and container id: the container's spec
        self._heap: list[tuple[float, int, str, Key]] = []
        self._order = itertools.count()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="probe")
        self._commands = ThreadPoolExecutor(COMMAND_THREADS, thread_name_prefix="probe-exec")

    def follow(self, view: View, address: str) -> None:
        """Ask what the pod's running containers are to be asked, and nothing else of it."""
        uid = meta.uid(view.pod)
        if not _has_probes(view.pod):
            return
        with self._wake:
            self._specs[uid] = _specs(view.pod, view.running)
            known = self._pods.setdefault(uid, {})
            self._begin(view, address, known)
            # a container that had started before this agent did is asked the other probes at once
            wanted = self._begin(view, address, known)
            alive = {one.id for one in view.running.containers if one.running}
            self._pods[uid] = {
                key: asked
                for key, asked in known.items()
                if key in wanted or (key[0] in alive and key[1] == "startup")
            }

    def forget(self, uid: str) -> None:
        with self._wake:
            self._pods.pop(uid, None)
            self._specs.pop(uid, None)

    def verdicts(self, running: RunningPod) -> dict[str, Verdict]:
        with self._wake:
            return self._verdicts(running.uid)

    def step(self) -> float:
        """One round of the timekeeper: start what is due; it sleeps inside until something is."""
        with self._wake:
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                _, _, uid, key = heapq.heappop(self._heap)
                asked = self._pods.get(uid, {}).get(key)
                if asked:
                    pool = self._commands if isinstance(asked.probe.check, Exec) else self._pool
                    pool.submit(self._ask, uid, key)
            left = self._heap[0][0] - now if self._heap else IDLE_SECONDS
            self._wake.wait(left)
        return 0.0

    def close(self) -> None:
        for pool in (self._pool, self._commands):
            pool.shutdown(wait=False, cancel_futures=True)
        with self._wake:
            self._wake.notify_all()

    def _begin(self, view: View, address: str, known: dict[Key, _Asked]) -> frozenset[Key]:
        """Have the probes asked that are to be asked now; their keys."""
        pod, uid = view.pod, meta.uid(view.pod)
        judged = replace(view, verdicts=self._verdicts(uid))
        probes = probes_of(judged, address, deleting=meta.deleting(pod) or view.doom is not None)
        for probe in probes:
            key = (probe.container_id, probe.type)
            if key in known:
                asked = known[key]
                asked.probe, asked.pod = probe, pod
                if asked.tally.result is None:  # the server may know more than this agent did at first sight
                    asked.tally = replace(asked.tally, result=known_before(pod, probe).result)
                continue
            due = self._clock.monotonic() + max(0.0, probe.begins - self._clock.now().timestamp())
            asked = known[key] = _Asked(probe, pod, due, known_before(pod, probe))
            if not settled(probe, asked.tally):
                self._push(due, uid, key)
        return frozenset((probe.container_id, probe.type) for probe in probes)

    def _push(self, due: float, uid: str, key: Key) -> None:
        heapq.heappush(self._heap, (due, next(self._order), uid, key))
        self._wake.notify_all()

    def _ask(self, uid: str, key: Key) -> None:
        """One probe, in a thread of the pool."""
        asked = self._pods.get(uid, {}).get(key)
        if asked is None:
            return
        try:
            answer = ask(asked.probe.check, asked.probe.timeout, self._runtime)
        except Exception:
            log.exception("a probe of %s failed in itself", asked.probe.container)
            answer = None
        if self._count(uid, key, answer):
            self._changed(uid)
        if answer and answer.outcome is not Outcome.SUCCESS:
            self._tell(asked, answer)

    def _count(self, uid: str, key: Key, answer: Answer | None) -> bool:
        """Note an answer and when to ask again; whether the result changed."""
        with self._wake:
            asked = self._pods.get(uid, {}).get(key)
            if asked is None:
                return False
            before = asked.tally.result
            if answer is not None and answer.outcome is not Outcome.UNKNOWN:
                asked.tally = count(asked.tally, asked.probe, answer.ok)
            if not settled(asked.probe, asked.tally):
                asked.due = max(self._clock.monotonic(), asked.due + asked.probe.period)
                self._push(asked.due, uid, key)
            return asked.tally.result is not before

    def _tell(self, asked: _Asked, answer: Answer) -> None:
        reason, verb = TOLD[answer.outcome]
        message = f"{asked.probe.type.capitalize()} probe {verb}: {answer.message}"
        where = field_path(asked.pod, asked.probe.container)
        self._events.event(asked.pod, "Warning", reason, message, field_path=where)

    def _verdicts(self, uid: str) -> dict[str, Verdict]:
        """Under the lock."""
        tallies: dict[str, dict[str, Tally]] = {}
        for (container_id, what), asked in self._pods.get(uid, {}).items():
            tallies.setdefault(container_id, {})[what] = asked.tally
        return {
            container_id: verdict(spec, tallies.get(container_id, {}))
            for container_id, spec in self._specs.get(uid, {}).items()
        }


def _has_probes(pod: Obj) -> bool:
    containers = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    return any(f"{what}Probe" in one for one in containers for what in ("startup", "readiness", "liveness"))


def _specs(pod: Obj, running: RunningPod) -> dict[str, Obj]:
    containers = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    by_name = {one["name"]: one for one in containers}
    return {one.id: by_name[one.name] for one in running.containers if one.running and one.name in by_name}
