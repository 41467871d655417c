"""One controller's loop: a queue of keys, a plan for each, the executor.

A plan is made only when the caches have seen what the key's last plan wrote: what was just created is never
created again because the news of it was late. (Upstream counts expected events; a global revision says it in
one number.)

A key whose plan takes long rests for a multiple of that time: of ten thousand pods that become ready one
after the other each touches the key of their owner, whose plan looks at all of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from mini8s.client.informer import Handler, Informer
from mini8s.client.workqueue import WorkQueue
from mini8s.controllers.base import Context, Controller, Source, metadata_of
from mini8s.controllers.executor import Executor
from mini8s.controllers.written import Written
from mini8s.objects.errors import ApiError, Conflict
from mini8s.objects.kinds import Obj
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

SEEN_WITHIN_SECONDS = (
    30.0  # after this a write that no watch told of counts as seen: go on with what is there
)
LONG_SECONDS = 0.02  # a plan that takes so long is of something big
REST = 4.0  # times as long as its plan took, a big key rests: others need the processor too
LEAST_REST_SECONDS = 0.5  # nobody reads the counts of thousands of pods more often
LOOK_AGAIN_SECONDS = 0.1  # the news itself wakes the key; this is for news that touches no key


# As who a controller speaks in events, where upstream's name is not made of ours.
_COMPONENTS = {
    "endpointslice": "endpoint-slice-controller",
    "endpointslice-mirroring": "endpoint-slice-mirroring-controller",
    "garbage": "garbage-collector-controller",
    "nodelifecycle": "node-controller",
    "tainteviction": "taint-eviction-controller",
    "horizontalpodautoscaler": "horizontal-pod-autoscaler",
    "disruption": "controllermanager",
}


@dataclass(slots=True)
class _Fence:
    """What must have been seen before the key is planned again."""

    written: Written
    until: float


class Runner:
    """Runs a controller until the stop. The step is public for tests, which need no thread."""

    def __init__(self, controller: Controller, context: Context, executor: Executor, stop: Stop) -> None:
        self.name = controller.name
        self.queue = WorkQueue(context.clock.monotonic)
        self.sentences: dict[str, str] = {}  # what the last cycle of each key said
        self._controller = controller
        self._clock = context.clock
        self._executor = executor
        self._informers = {source.kind: _informer(context, source) for source in controller.sources}
        self._fences: dict[str, _Fence] = {}
        self._resting: dict[str, float] = {}  # until when, of keys whose last plan took long
        self._worker = Worker(f"controller-{self.name}", self.step, stop)
        for source in controller.sources:
            self._informers[source.kind].subscribe(_adder(source, self.queue))

    def start(self) -> None:
        self._worker.start()

    def shut_down(self, seconds: float) -> bool:
        self.queue.shut_down()
        return self._worker.join(seconds)

    def step(self, timeout: float | None = None) -> float:
        """Handle one key, waiting for it; how long to pause."""
        key = self.queue.get(timeout)
        if key is None:
            return 0.0
        try:
            self._handle(key)
        finally:
            self.queue.done(key)
        return 0.0

    def _handle(self, key: str) -> None:
        if not self._seen(key):
            self.queue.add_after(key, LOOK_AGAIN_SECONDS)
            return
        if self._rests(key):
            return
        written = Written(component=_COMPONENTS.get(self.name) or f"{self.name}-controller")
        try:
            began = self._clock.monotonic()
            plan = self._controller.plan(key)
            self._rest(key, began)
            self._executor.run(plan.actions, written)
        except ApiError as error:
            self._failed(key, error)
            return
        except Exception:
            log.exception("%s %s failed", self.name, key)
            self.queue.add_rate_limited(key)
            return
        finally:
            if written:
                self._fence(key, written)
        self.queue.forget(key)
        if plan.again_after is not None:
            self.queue.add_after(key, plan.again_after)
        self._say(key, plan.said)

    def _rests(self, key: str) -> bool:
        until, now = self._resting.get(key), self._clock.monotonic()
        if until is None or until <= now:
            self._resting.pop(key, None)
            return False
        self.queue.add_after(key, until - now)
        return True

    def _rest(self, key: str, began: float) -> None:
        """After a plan: what it took is known. Keys of what is gone never come back: who has rested goes."""
        ended = self._clock.monotonic()
        if ended - began >= LONG_SECONDS:
            self._resting = {other: until for other, until in self._resting.items() if until > ended}
            self._resting[key] = ended + max(LEAST_REST_SECONDS, REST * (ended - began))

    def _fence(self, key: str, written: Written) -> None:
        """Remember what must be seen first. Keys of what is gone never come back: their fences go when they
        no longer count."""
        now = self._clock.monotonic()
        while self._fences and next(iter(self._fences.values())).until < now - SEEN_WITHIN_SECONDS:
            del self._fences[next(iter(self._fences))]
        self._fences.pop(key, None)  # the dict is in the order of the ends
        self._fences[key] = _Fence(written, now + SEEN_WITHIN_SECONDS)

    def _seen(self, key: str) -> bool:
        fence = self._fences.get(key)
        if fence is None:
            return True
        late = list(fence.written.unseen(self._informers))
        if late and self._clock.monotonic() < fence.until:
            return False
        if late:
            log.warning("%s %s: no news of its own writes to %s", self.name, key, late[0].plural)
        del self._fences[key]
        return True

    def _failed(self, key: str, error: ApiError) -> None:
        """Conflicts are everyday: somebody was faster, and the news of it is under way."""
        self.queue.add_rate_limited(key)
        if isinstance(error, Conflict):
            log.debug("%s %s: %s", self.name, key, error)
        elif self.sentences.get(key) != str(error):
            self.sentences[key] = str(error)
            log.warning("%s %s: %s", self.name, key, error)

    def _say(self, key: str, said: str) -> None:
        if not said:
            self.sentences.pop(key, None)
        elif self.sentences.get(key) != said:
            self.sentences[key] = said
            log.info("%s %s: %s", self.name, key, said)


def _informer(context: Context, source: Source) -> Informer:
    if source.metadata_only:
        return context.informers.of(source.kind, keep=metadata_of)
    return context.informers.of(source.kind, fields=source.fields)


def _adder(source: Source, queue: WorkQueue) -> Handler:
    def add(old: Obj | None, new: Obj | None) -> None:
        for key in source.changed(old, new):
            queue.add(key)

    return add
