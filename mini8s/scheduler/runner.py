"""The scheduler's cycle: take in what changed, take the pods that are due, decide, bind, say why not.

A pod that was placed is counted at once (assumed), long before the informer shows it, so that the next
decision does not give the same room away twice. The API server refuses a second binding of a pod, so a stale
picture costs a try and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from mini8s.client.base import Api, EventSink
from mini8s.client.informer import Informers
from mini8s.objects.errors import ApiError, Conflict, NotFound
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import NodeState, PodFacts, Refused
from mini8s.scheduler.decide import Decider
from mini8s.scheduler.hints import cures
from mini8s.scheduler.intake import Intake
from mini8s.scheduler.profiles import DEFAULT, Profile, profile
from mini8s.scheduler.queue import ANY, Change, Queue
from mini8s.scheduler.refusing import Refusing, reference
from mini8s.scheduler.reservations import Reservations, State
from mini8s.scheduler.volumes import all_bound
from mini8s.util.clock import Clock
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

NAME = DEFAULT
BINDERS = 4  # requests in flight: one may hang
TOGETHER = 64  # bindings in a request: while it is on its way the next ones are decided
BATCH = 512  # pods a cycle: who comes with a higher priority waits no longer than these take
IDLE_SECONDS = 1.0  # how soon a stop is noticed


@dataclass(frozen=True, slots=True)
class Binding:
    """What is left to do on the wire once a pod has its node."""

    pod: PodFacts
    node: str

    def ask(self, api: Api) -> None:
        api.bind(self.pod.namespace, self.pod.name, self.node)


class Scheduler:
    """Places pods that have no node and name one of these profiles."""

    def __init__(
        self,
        *,
        rest: Api,
        informers: Informers,
        clock: Clock,
        stop: Stop,
        recorder: EventSink,
        profiles: Mapping[str, Profile] | None = None,
    ) -> None:
        self._rest, self._clock, self._events = rest, clock, recorder
        profiles = profiles or {DEFAULT: profile()}
        self._queue = Queue()
        self._reservations = Reservations(rest, informers, lambda: self._queue.changed(Change.STORAGE))
        self._intake = Intake(informers, self._queue, profiles.keys(), self._reservations.forget)
        self._decider = Decider(self._intake.board, profiles)
        self._intake.when_renamed(self._decider.forget)
        self._refusing = Refusing(rest, informers, recorder, clock, self._intake.board)
        self._said = OnChange(log)
        self._binders = ThreadPoolExecutor(BINDERS, thread_name_prefix="bind")
        self._worker = Worker("scheduler", self.step, stop)

    def start(self) -> None:
        """Call when the informers have synced."""
        self._worker.start()

    def stop(self, seconds: float) -> bool:
        """After the stop was set: whether the cycle and what it had in flight have ended."""
        ended = self._worker.join(seconds)
        self._binders.shutdown(wait=False, cancel_futures=True)
        return ended

    def step(self) -> float:
        """One cycle over what is due."""
        self._intake.take_in()
        self._queue.wait(self._clock.monotonic(), IDLE_SECONDS)
        self._intake.take_in()
        due = self._queue.due(self._clock.monotonic(), BATCH)
        jobs: list[Future[None]] = []
        for at in range(0, len(due), TOGETHER):
            decided = [done for pod in due[at : at + TOGETHER] if (done := self._decide(pod))]
            placed = [done for done in decided if isinstance(done, Binding)]
            jobs += [self._binders.submit(done) for done in decided if not isinstance(done, Binding)]
            jobs += [self._binders.submit(self._bind, placed)] if placed else []
        for job in jobs:
            job.result()
        waiting = len(self._queue)
        self._said.say(f"{waiting} pods wait for a node" if waiting else "every pod has a node")
        return 0.0

    def _decide(self, pod: PodFacts) -> Binding | Callable[[], None] | None:
        """What is left to do once the pod has a node; None if it has none."""
        try:
            pod = self._reservations.with_claims(pod)
            if reserved := self._reserved(pod):
                return reserved
            decision = self._decider.decide(pod)
            if isinstance(decision, Refused):
                said = self._refusing.refuse(pod, decision, self._decider.profile(pod))
                self._queue.failed(pod.key, self._clock.monotonic(), cures=cures(said))
                return None
        except Exception:  # a pod that trips a plugin must not keep all others waiting
            log.exception("%s cannot be judged", pod.key)
            self._queue.failed(pod.key, self._clock.monotonic(), cures=ANY)
            return None
        node = self._intake.board.nodes[decision.node]
        self._intake.assume(pod, decision.node)
        if all_bound(pod.claims):
            return Binding(pod, decision.node)
        return lambda: self._reserve(pod, node)

    def _reserved(self, pod: PodFacts) -> Binding | Callable[[], None] | None:
        """What is to be done about a pod that has its node and waits for its volumes."""
        name = self._reservations.node(pod)
        now = self._clock.monotonic()
        match self._reservations.state(pod, self._intake.board.nodes.get(name), now):
            case State.WAITS:
                return lambda: self._queue.rest(pod.key, now)
            case State.BOUND:
                return Binding(pod, name)
            case State.LOST:
                return lambda: self._failed(pod)
        return None

    def _reserve(self, pod: PodFacts, node: NodeState) -> None:
        """The node is the pod's once its volumes are there."""
        try:
            self._reservations.reserve(pod, node, self._clock.monotonic())
        except ApiError as error:
            log.info("the volumes of %s are not bound on %s: %s", pod.key, node.name, error)
            self._failed(pod)
        else:
            self._queue.rest(pod.key, self._clock.monotonic())

    def _bind(self, placed: Sequence[Binding]) -> None:
        outcomes = self._rest.together([one.ask for one in placed])
        for one, outcome in zip(placed, outcomes, strict=True):
            self._bound(one.pod, one.node, outcome)

    def _bound(self, pod: PodFacts, node: str, outcome: Obj | ApiError) -> None:
        if isinstance(outcome, NotFound | Conflict):
            log.info("%s was not bound to %s: %s", pod.key, node, outcome)
            self._failed(pod)  # gone or bound by another: the informer will say which
        elif isinstance(outcome, ApiError):
            log.warning("binding %s to %s failed: %s", pod.key, node, outcome)
            self._failed(pod)
        else:
            self._queue.forget(pod.key)
            self._reservations.forget(pod.uid)
            message = f"Successfully assigned {pod.key} to {node}"
            self._events.event(reference(pod), "Normal", "Scheduled", message)

    def _failed(self, pod: PodFacts) -> None:
        self._reservations.forget(pod.uid)
        self._intake.unassume(pod.uid)
        self._queue.failed(pod.key, self._clock.monotonic())
