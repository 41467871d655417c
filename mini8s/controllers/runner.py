"""One controller's loop: a queue of keys, a plan for each, the executor.

A plan is made only when the caches have seen what the key's last plan wrote: what was just created is never
created again because the news of it was late. (Upstream counts expected events; a global revision says it in
one number.)
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
LOOK_AGAIN_SECONDS = 0.1  # the news itself wakes the key; this is for news that touches no key


# As who a controller speaks in events, where upstream's name is not made of ours.
_COMPONENTS = {
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
        written = Written(component=_COMPONENTS.get(self.name) or f"{self.name}-controller")
        try:
            plan = self._controller.plan(key)
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
