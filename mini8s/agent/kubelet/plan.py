"""PURE: what to do about one pod: (what is wanted, what runs, what probes say, now) → actions.

Level-based: it may be asked at any time, after any crash, and what it says is right for that moment; asked
again after its actions were done it says nothing. Waiting is an answer too: `wake_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mini8s.agent.kubelet import notes
from mini8s.agent.kubelet.restart import NextStart, go_duration, next_start
from mini8s.agent.kubelet.view import Init, Verdict, View, Wanted, identity
from mini8s.agent.runtime.base import Container, RunningPod
from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

DEFAULT_GRACE = 30
LEAST_GRACE = 2  # seconds between SIGTERM and SIGKILL, whatever was asked for: the kubelet's own
SANDBOX = ""  # the name under which the sandbox itself is held
KEPT_ATTEMPTS = 2  # the one that runs or ended last, and the one before it for `logs --previous`


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    attempt: int


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """The last sandbox takes the pod's address with it."""

    sandbox_id: str
    last: bool


@dataclass(frozen=True, slots=True)
class StartContainer:
    wanted: Wanted
    attempt: int
    backoff_seconds: int


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask to end; `message` is the Killing event's."""

    container: Container
    message: str


@dataclass(frozen=True, slots=True)
class Kill:
    container: Container


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    container: Container


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Take the pod's volumes and folders away."""


Action = CreateSandbox | RemoveSandbox | StartContainer | Terminate | Kill | RemoveContainer | CleanUp


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the agent itself knows of a pod, and may forget: container ids that were asked to end and when,
    container names not to be started before a time, and whether the pod's folders are there."""

    asked: Mapping[str, datetime] = field(default_factory=dict)
    held: Mapping[str, datetime] = field(default_factory=dict)
    folders: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    actions: Sequence[Action] = ()
    wake_seconds: float | None = None
    waiting: Mapping[str, str] = field(default_factory=dict)  # container name → why it isn't started again
    ended: bool = False  # nothing of the pod runs any more, nor will


def plan(
    pod: Obj | None,
    running: RunningPod,
    *,
    verdicts: Mapping[str, Verdict],
    remembered: Remembered,
    now: datetime,
) -> Plan:
    """`pod` is None when the server is known to want no such pod."""
    draft = _Draft(remembered, now)
    if pod is None:
        _remove_orphan(draft, running)
        return draft.finish()
    view = View(pod, running, verdicts)
    if meta.deleting(pod) or view.finished:
        _end_pod(draft, view)
    elif view.sandbox is None:
        _begin(draft, view)
    else:
        _keep(draft, view)
    return draft.finish()


def pod_grace(spec: Obj) -> float:
    """Seconds a container may take to end."""
    grace = spec.get("terminationGracePeriodSeconds")
    return float(DEFAULT_GRACE if grace is None else grace)


class _Draft:
    """A plan in the making."""

    def __init__(self, remembered: Remembered, now: datetime) -> None:
        self.remembered = remembered
        self.now = now
        self.actions: list[Action] = []
        self.waiting: dict[str, str] = {}
        self.ended = False
        self._wakes: list[float] = []

    def wake_in(self, seconds: float) -> None:
        self._wakes.append(max(0.01, seconds))

    def finish(self) -> Plan:
        return Plan(tuple(self.actions), min(self._wakes, default=None), self.waiting, self.ended)

    def end(self, container: Container, grace: float, message: str) -> None:
        """One step on the way out: ask, then wait, then kill."""
        asked = self.remembered.asked.get(container.id)
        if asked is None:
            self.actions.append(Terminate(container, message))
            self.wake_in(max(LEAST_GRACE, grace))
            return
        left = max(LEAST_GRACE, grace) - (self.now - asked).total_seconds()
        if left <= 0:
            self.actions.append(Kill(container))
            self.wake_in(LEAST_GRACE)
        else:
            self.wake_in(left)


def _remove_orphan(draft: _Draft, running: RunningPod) -> None:
    """Everything goes; how long it may take to end is on its labels."""
    alive = [one for one in running.containers if one.running]
    for container in alive:
        grace = notes.number(container.labels, notes.GRACE, DEFAULT_GRACE)
        draft.end(container, grace, f"Stopping container {container.name}")
    if alive:
        return
    draft.actions += _remove_sandboxes(running)
    draft.actions += [RemoveContainer(one) for one in running.containers]
    if draft.remembered.folders:
        draft.actions.append(CleanUp())
    draft.ended = True


def _end_pod(draft: _Draft, view: View) -> None:
    """The pod proper first, its sidecars when they have nobody to serve any more, the last of them first.
    Records stay for the log and the status until the pod is gone from the server."""
    sidecars = {wanted.name for wanted in view.init_containers if wanted.sidecar}
    alive = [one for one in view.running.containers if one.running]
    proper = [one for one in alive if one.name not in sidecars]
    grace = _grace(view, draft.now)
    for container in proper or _last_first(view, alive):
        draft.end(container, grace, f"Stopping container {container.name}")
    if alive:
        return
    draft.actions += _remove_sandboxes(view.running)
    if meta.deleting(view.pod) and draft.remembered.folders:
        draft.actions.append(CleanUp())
    draft.ended = True


def _last_first(view: View, alive: Sequence[Container]) -> Sequence[Container]:
    order = [wanted.name for wanted in view.init_containers]
    return sorted(alive, key=lambda one: -order.index(one.name) if one.name in order else 1)[:1]


def _grace(view: View, now: datetime) -> float:
    """What is left until the deletion's time is up; the pod's own grace when it isn't deleted."""
    deadline = view.pod["metadata"].get("deletionTimestamp")
    grace = view.pod["metadata"].get("deletionGracePeriodSeconds")
    if deadline is None or grace is None:
        return pod_grace(view.spec)
    late = now > parse_time(deadline) + timedelta(seconds=1)
    return 0.0 if late else float(grace)


def _remove_sandboxes(running: RunningPod) -> Iterable[Action]:
    """Old ones first: the last one to go frees the address."""
    boxes = list(reversed(running.sandboxes))
    return [RemoveSandbox(box.id, box is boxes[-1]) for box in boxes]


def _begin(draft: _Draft, view: View) -> None:
    """No sandbox runs. What still runs of an old one has lost its network and its pod."""
    alive = [one for one in view.running.containers if one.running]
    for container in alive:
        draft.end(container, 0.0, "Pod sandbox changed, it will be killed and re-created.")
    if alive or not any(_startable(view, wanted) for wanted in view.containers):
        return
    draft.actions += [RemoveSandbox(box.id, last=False) for box in view.running.sandboxes]
    if not _held(draft, SANDBOX):
        attempt = view.running.sandboxes[0].attempt + 1 if view.running.sandboxes else 0
        draft.actions.append(CreateSandbox(attempt))


def _startable(view: View, wanted: Wanted) -> bool:
    last = view.last(wanted)
    return last is None or not last.ended or view.restarts(wanted, last)


def _keep(draft: _Draft, view: View) -> None:
    """The usual case: a sandbox runs. Look at each container, then at what comes next."""
    draft.actions += [RemoveSandbox(box.id, last=False) for box in view.running.sandboxes[1:]]
    draft.actions += [RemoveContainer(one) for one in _superfluous(view.running.containers)]
    for wanted in (*view.init_containers, *view.containers):
        current = view.current(wanted)
        if current and current.running:
            _judge(draft, view, wanted, current)
    _start_next(draft, view)


def _superfluous(containers: Sequence[Container]) -> Iterator[Container]:
    seen: dict[str, int] = {}
    for one in containers:
        seen[one.name] = seen.get(one.name, 0) + 1
        if seen[one.name] > KEPT_ATTEMPTS:
            yield one


def _judge(draft: _Draft, view: View, wanted: Wanted, current: Container) -> None:
    """Whether a container that runs is to go on."""
    verdict = view.verdict(current)
    grace = pod_grace(view.spec)
    if current.labels.get(notes.SPEC_HASH) != wanted.hash:
        draft.end(current, grace, f"Container {wanted.name} definition changed, will be restarted")
    elif verdict.failed:
        own = (wanted.spec.get(f"{verdict.failed}Probe") or {}).get("terminationGracePeriodSeconds")
        message = f"Container {wanted.name} failed {verdict.failed} probe, will be restarted"
        draft.end(current, grace if own is None else float(own), message)
    elif current.id in draft.remembered.asked:
        draft.end(current, grace, "")


def _start_next(draft: _Draft, view: View) -> None:
    """Sidecars that ended and the pod proper when the init phase is over, else what the init phase waits
    for."""
    if view.init is Init.DONE:
        for wanted in (*(one for one in view.init_containers if one.sidecar), *view.containers):
            _start(draft, view, wanted)
        return
    for wanted in view.init_containers:
        if wanted.sidecar or not view.init_done(wanted):
            _start(draft, view, wanted)
        if not view.init_done(wanted):
            return


def _start(draft: _Draft, view: View, wanted: Wanted) -> None:
    last = view.last(wanted)
    if last and last.running:
        return
    if last and not last.ended:  # made, and nobody started it: an agent was killed in between
        draft.actions.append(RemoveContainer(last))
        backoff = notes.number(last.labels, notes.BACKOFF, 0)
        _start_or_hold(draft, wanted, NextStart(last.attempt, backoff, 0, 0.0))
        return
    # an init container does its work once for every sandbox, whatever it did for an older one
    again = wanted.init and view.current(wanted) is None
    if last and not again and not view.restarts(wanted, last):
        return
    start = next_start(last, wanted.hash, draft.now)
    if start.wait_seconds > 0:
        draft.wake_in(start.wait_seconds)
        draft.waiting[wanted.name] = (
            f"back-off {go_duration(start.delay_seconds)} restarting failed "
            f"container={wanted.name} pod={identity(view.pod)}"
        )
        return
    _start_or_hold(draft, wanted, start)


def _start_or_hold(draft: _Draft, wanted: Wanted, start: NextStart) -> None:
    if not _held(draft, wanted.name):
        draft.actions.append(StartContainer(wanted, start.attempt, start.backoff_seconds))


def _held(draft: _Draft, name: str) -> bool:
    """Whether a failed try is too young for another one."""
    until = draft.remembered.held.get(name)
    if until is None or until <= draft.now:
        return False
    draft.wake_in((until - draft.now).total_seconds())
    return True
