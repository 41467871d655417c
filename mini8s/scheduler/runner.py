"""The scheduler's cycle: take the pods that are due, decide on one picture, bind, say why not.

A pod that was bound is counted as placed at once (assumed), long before the informer shows it, so that the
next decision does not give the same room away twice. The API server refuses a second binding of a pod, so a
stale picture costs a try and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mini8s.client.base import Api, EventSink
from mini8s.client.informer import Informers
from mini8s.objects import conditions, kinds, meta, pods
from mini8s.objects.errors import ApiError, Conflict, NotFound
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import NodeState, Placed, PodFacts, Refused
from mini8s.scheduler.decide import decide
from mini8s.scheduler.queue import Queue
from mini8s.scheduler.reservations import Reservations, State
from mini8s.scheduler.snapshot import Snapshot, pod_facts
from mini8s.scheduler.volumes import all_bound
from mini8s.util.clock import Clock
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

NAME = "default-scheduler"
BINDERS = 4  # bindings in flight: the API's group commit makes several as cheap as one
IDLE_SECONDS = 1.0  # how soon a stop is noticed


class Scheduler:
    """Places pods that have no node and name this scheduler."""

    def __init__(
        self, *, rest: Api, informers: Informers, clock: Clock, stop: Stop, recorder: EventSink
    ) -> None:
        self._rest, self._clock, self._stop, self._events = rest, clock, stop, recorder
        self._nodes = informers.of(kinds.NODES)
        self._pods = informers.of(kinds.PODS)
        self._namespaces = informers.of(kinds.NAMESPACES)
        self._queue = Queue()
        self._reservations = Reservations(rest, informers, self._queue.cluster_changed)
        self._lock = threading.Lock()  # guards the two tables of placed pods, written by informer and binders
        self._placed: dict[str, PodFacts] = {}  # as the informer shows them, by uid
        self._assumed: dict[str, PodFacts] = {}  # bound by us, not shown yet, by uid
        self._said = OnChange(log)
        self._binders = ThreadPoolExecutor(BINDERS, thread_name_prefix="bind")
        self._worker = Worker("scheduler", self.step, stop)
        self._pods.subscribe(self._pod_changed)
        self._nodes.subscribe(self._node_changed)
        self._namespaces.subscribe(self._namespace_changed)

    def start(self) -> None:
        """Call when the informers have synced."""
        self._worker.start()

    def stop(self, seconds: float) -> bool:
        """After the stop was set: whether the cycle and what it had in flight have ended."""
        ended = self._worker.join(seconds)
        self._binders.shutdown(wait=False, cancel_futures=True)
        return ended

    def step(self) -> float:
        """One cycle over everything that is due."""
        self._queue.wait(self._clock.monotonic(), IDLE_SECONDS)
        due = self._queue.due(self._clock.monotonic())
        if due:
            snapshot = Snapshot(self._nodes.cache.list(), self._counted(), self._labels_of)
            bindings = [self._binders.submit(bind) for pod in due if (bind := self._decide(pod, snapshot))]
            for binding in bindings:
                binding.result()
        waiting = len(self._queue)
        self._said.say(f"{waiting} pods wait for a node" if waiting else "every pod has a node")
        return 0.0

    def _decide(self, pod: PodFacts, snapshot: Snapshot) -> Callable[[], None] | None:
        """What is left to do on the wire once the pod has a node; None if it has none."""
        try:
            pod = self._reservations.with_claims(pod)
            if reserved := self._reserved(pod, snapshot):
                return reserved
            decision = decide(pod, snapshot.nodes(), snapshot.picture)
        except Exception:  # a pod that trips a plugin must not keep all others waiting
            log.exception("%s cannot be judged", pod.key)
            self._queue.failed(pod.key, self._clock.monotonic(), unschedulable=True)
            return None
        if isinstance(decision, Refused):
            self._refuse(pod, decision)
            return None
        node = snapshot.node(decision.node)
        snapshot.place(pod, decision.node)
        with self._lock:
            self._assumed[pod.uid] = replace(pod, node_name=decision.node, claims=())
        if all_bound(pod.claims):
            return lambda: self._bind(pod, decision)
        return lambda: self._reserve(pod, node)

    def _reserved(self, pod: PodFacts, snapshot: Snapshot) -> Callable[[], None] | None:
        """What is to be done about a pod that has its node and waits for its volumes."""
        name = self._reservations.node(pod)
        now = self._clock.monotonic()
        match self._reservations.state(pod, snapshot.find(name), now):
            case State.WAITS:
                return lambda: self._queue.rest(pod.key, now)
            case State.BOUND:
                return lambda: self._bind(pod, Placed(name))
            case State.LOST:
                self._forget_assumed(pod)
                return lambda: self._queue.failed(pod.key, now, unschedulable=False)
        return None

    def _reserve(self, pod: PodFacts, node: NodeState) -> None:
        """The node is the pod's once its volumes are there."""
        try:
            self._reservations.reserve(pod, node, self._clock.monotonic())
        except ApiError as error:
            log.info("the volumes of %s are not bound on %s: %s", pod.key, node.name, error)
            self._forget_assumed(pod)
            self._queue.failed(pod.key, self._clock.monotonic(), unschedulable=False)
        else:
            self._queue.rest(pod.key, self._clock.monotonic())

    def _bind(self, pod: PodFacts, placed: Placed) -> None:
        try:
            self._rest.bind(pod.namespace, pod.name, placed.node)
        except (NotFound, Conflict) as error:
            log.info("%s was not bound to %s: %s", pod.key, placed.node, error)
            self._forget_assumed(pod)  # gone or bound by another: the informer will say which
            self._queue.failed(pod.key, self._clock.monotonic(), unschedulable=False)
        except ApiError as error:
            log.warning("binding %s to %s failed: %s", pod.key, placed.node, error)
            self._forget_assumed(pod)
            self._queue.failed(pod.key, self._clock.monotonic(), unschedulable=False)
        else:
            self._queue.forget(pod.key)
            self._reservations.forget(pod.uid)
            message = f"Successfully assigned {pod.key} to {placed.node}"
            self._events.event(_reference(pod), "Normal", "Scheduled", message)

    def _refuse(self, pod: PodFacts, refused: Refused) -> None:
        self._queue.failed(pod.key, self._clock.monotonic(), unschedulable=True)
        self._events.event(_reference(pod), "Warning", "FailedScheduling", str(refused))
        current = self._pods.cache.get(pod.namespace, pod.name)
        if current is None:
            return
        status = current.get("status") or {}
        wanted = conditions.set_condition(
            status.get("conditions") or (),
            "PodScheduled",
            "False",
            "Unschedulable",
            str(refused),
            self._clock.now(),
        )
        if wanted == status.get("conditions"):
            return
        patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": wanted}}
        try:
            self._rest.patch_status(kinds.PODS, pod.namespace, pod.name, patch)
        except ApiError as error:
            log.info("%s: its condition was not written: %s", pod.key, error)

    def _counted(self) -> list[PodFacts]:
        with self._lock:
            return list((self._placed | self._assumed).values())

    def _forget_assumed(self, pod: PodFacts) -> None:
        self._reservations.forget(pod.uid)
        with self._lock:
            self._assumed.pop(pod.uid, None)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if old and (new is None or meta.uid(new) != meta.uid(old)):
            self._left(old)
        if new is None:
            return
        if pods.is_terminal(new):
            self._left(new)
        elif pods.node_name(new):
            self._arrived(new)
        elif not meta.deleting(new) and not new["spec"].get("schedulingGates"):
            self._waits(pod_facts(new))

    def _waits(self, pod: PodFacts) -> None:
        with self._lock:
            bound = pod.uid in self._assumed  # the informer is behind us
        if pod.scheduler == NAME and not bound:
            self._queue.add(pod)

    def _arrived(self, pod: Obj) -> None:
        facts = pod_facts(pod)
        with self._lock:
            known = self._placed.get(facts.uid)
            self._placed[facts.uid] = facts
            self._assumed.pop(facts.uid, None)
        self._queue.forget(facts.key)
        if known and known.labels != facts.labels:
            self._queue.cluster_changed()
        elif not known or known.deleting != facts.deleting:
            self._queue.pods_moved()

    def _left(self, pod: Obj) -> None:
        with self._lock:
            counted = self._placed.pop(meta.uid(pod), None)
            self._assumed.pop(meta.uid(pod), None)
        self._reservations.forget(meta.uid(pod))
        self._queue.forget(meta.key(pod))
        if counted:
            self._queue.cluster_changed()

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and (old is None or _matters(old) != _matters(new)):
            self._queue.cluster_changed()
        elif new is None:
            self._queue.pods_moved()  # a domain less may be evener

    def _namespace_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None or old is None or meta.labels(old) != meta.labels(new):
            self._queue.cluster_changed()

    def _labels_of(self, namespace: str) -> Mapping[str, str]:
        return meta.labels(self._namespaces.cache.get("", namespace) or {})


def _matters(node: Obj) -> Obj:
    """What of a node can let a pod in that was refused."""
    status = node.get("status") or {}
    return {"labels": meta.labels(node), "spec": node.get("spec"), "allocatable": status.get("allocatable")}


def _reference(pod: PodFacts) -> Obj:
    """Enough of the object for an event about it."""
    metadata = {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
