"""PURE: what to do about one pod: (what is wanted, what runs, what probes say, now) → actions.

Level-based: it may be asked at any time, after any crash, and what it says is right for that moment; asked
again after its actions were done it says nothing. Waiting is an answer too: `wake_seconds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from mini8s.agent.kubelet import notes
from mini8s.agent.kubelet.actions import (
    SANDBOX,
    CleanUp,
    CreateSandbox,
    Draft,
    Hook,
    Plan,
    Remembered,
    RemoveContainer,
    RemoveSandbox,
    Resize,
    RunHook,
    StartContainer,
    resize_of,
)
from mini8s.agent.kubelet.ending import end, end_all
from mini8s.agent.kubelet.isolation.resources import differs, needs_restart
from mini8s.agent.kubelet.probes import handlers
from mini8s.agent.kubelet.restart import NextStart, go_duration, next_start
from mini8s.agent.kubelet.view import Init, Role, View, Wanted, identity
from mini8s.agent.runtime.records import Container, RunningPod
from mini8s.objects import meta
from mini8s.objects.kinds import Obj

DEFAULT_GRACE = 30
KEPT_ATTEMPTS = 2  # the one that runs or ended last, and the one before it for `logs --previous`
STOPPING = "Stopping container {name}"


def plan(view: View | None, running: RunningPod, remembered: Remembered, now: datetime) -> Plan:
    """`view` is None when the server is known to want no such pod. `now` and what is remembered are by one
    clock that never jumps."""
    draft = Draft(remembered, now)
    if view is None:
        _remove_orphan(draft, running)
    elif meta.deleting(view.pod) or view.finished:
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


def _remove_orphan(draft: Draft, running: RunningPod) -> None:
    """Everything goes; how long it may take to end is on its labels."""
    alive = [one for one in running.containers if one.running]
    graces = [notes.number(one.labels, notes.GRACE, DEFAULT_GRACE) for one in alive]
    end_all(draft, alive, max(graces, default=0), STOPPING)
    if alive:
        return
    draft.actions += _remove_sandboxes(running)
    draft.actions += [RemoveContainer(one) for one in running.containers]
    if draft.remembered.folders:
        draft.actions.append(CleanUp())
    draft.ended = True


def _end_pod(draft: Draft, view: View) -> None:
    """Records stay for the log and the status until the pod is gone from the server; its files take room, and
    go when the server has heard how it ended."""
    alive = [one for one in view.running.containers if one.running]
    end_all(draft, alive, _grace(view), STOPPING)
    if alive:
        return
    draft.actions += _remove_sandboxes(view.running)
    if (meta.deleting(view.pod) or view.said_terminal) and draft.remembered.folders:
        draft.actions.append(CleanUp())
    draft.ended = True


def _grace(view: View) -> float:
    """What was given for the deletion; the pod's own grace when it isn't deleted. The node may shorten it."""
    given = view.pod["metadata"].get("deletionGracePeriodSeconds")
    grace = pod_grace(view.spec) if given is None else float(given)
    most = view.doom.grace_seconds if view.doom else None
    return grace if most is None else min(grace, most)


def _remove_sandboxes(running: RunningPod) -> Iterable[RemoveSandbox]:
    """Old ones first: the last one to go frees the address."""
    boxes = list(reversed(running.sandboxes))
    return [RemoveSandbox(box.id, box is boxes[-1]) for box in boxes]


def _begin(draft: Draft, view: View) -> None:
    """No sandbox runs. What still runs of an old one has lost its network and its pod."""
    alive = [one for one in view.running.containers if one.running]
    for container in alive:
        end(draft, container, 0.0, "Pod sandbox changed, it will be killed and re-created.")
    if alive or not any(_startable(view, wanted) for wanted in view.containers):
        return
    draft.actions += [RemoveSandbox(box.id, last=False) for box in view.running.sandboxes]
    if not _held(draft, SANDBOX):
        attempt = view.running.sandboxes[0].attempt + 1 if view.running.sandboxes else 0
        starts = _first_starts(draft, view)
        draft.actions += [CreateSandbox(attempt, next(iter(starts), None)), *starts]


def _first_starts(draft: Draft, view: View) -> list[StartContainer]:
    """What follows at once when nothing was ever made of the pod; else it is seen once the sandbox runs."""
    if view.running.containers:
        return []
    follows = Draft(draft.remembered, draft.now)
    _start_in_turn(follows, view)
    return [one for one in follows.actions if isinstance(one, StartContainer)]


def _startable(view: View, wanted: Wanted) -> bool:
    last = view.last(wanted)
    return last is None or not last.ended or view.restarts(wanted, last)


def _keep(draft: Draft, view: View) -> None:
    """The usual case: a sandbox runs. Look at each container, then at what comes next."""
    draft.actions += [RemoveSandbox(box.id, last=False) for box in view.running.sandboxes[1:]]
    draft.actions += [RemoveContainer(one) for one in _superfluous(view.running.containers)]
    for wanted in (*view.init_containers, *view.containers):
        current = view.current(wanted)
        if current and current.running:
            _judge(draft, view, wanted, current)
    for wanted in view.ephemeral_containers:
        _start(draft, view, wanted)
    _start_in_turn(draft, view)


def _superfluous(containers: Sequence[Container]) -> Iterator[Container]:
    seen: dict[str, int] = {}
    for one in containers:
        seen[one.name] = seen.get(one.name, 0) + 1
        if seen[one.name] > KEPT_ATTEMPTS:
            yield one


def _judge(draft: Draft, view: View, wanted: Wanted, current: Container) -> None:
    """Whether a container that runs is to go on."""
    verdict = view.verdict(current)
    grace = pod_grace(view.spec)
    if current.labels.get(notes.SPEC_HASH) != wanted.hash:
        end(draft, current, grace, f"Container {wanted.name} definition changed, will be restarted")
    elif view.hooked.get(current.id):
        end(draft, current, grace, "FailedPostStartHook")
    elif verdict.failed:
        own = (wanted.spec.get(f"{verdict.failed}Probe") or {}).get("terminationGracePeriodSeconds")
        message = f"Container {wanted.name} failed {verdict.failed} probe, will be restarted"
        end(draft, current, grace if own is None else float(own), message)
    elif current.id in draft.remembered.endings:
        end(draft, current, grace, "")
    elif changed := differs(wanted.spec, current.resources):
        _resize(draft, wanted, current, grace, changed)


def _resize(draft: Draft, wanted: Wanted, current: Container, grace: float, changed: frozenset[str]) -> None:
    if needs_restart(wanted.spec, changed):
        end(draft, current, grace, f"Container {wanted.name} resize requires restart")
    elif not _held(draft, resize_of(wanted.name)):
        draft.actions.append(Resize(current, wanted))


def _start_in_turn(draft: Draft, view: View) -> None:
    """Sidecars that ended and the pod proper when the init phase is over, else what the init phase waits for.
    A postStart hook holds up all that come after it (`kuberuntime_manager.go: SyncPod`)."""
    if view.init is Init.DONE:
        for wanted in (*(one for one in view.init_containers if one.sidecar), *view.containers):
            _start(draft, view, wanted)
            if _holds_up(draft, view, wanted):
                return
        return
    for wanted in view.init_containers:
        if wanted.sidecar or not view.init_done(wanted):
            _start(draft, view, wanted)
        if not view.init_done(wanted):
            _holds_up(draft, view, wanted)
            return


def _holds_up(draft: Draft, view: View, wanted: Wanted) -> bool:
    """Whether its postStart hook has to be over first; it is begun if it wasn't."""
    handler, current = wanted.post_start, view.current(wanted)
    if handler is None:
        return False
    if any(isinstance(one, StartContainer) and one.wanted.name == wanted.name for one in draft.actions):
        return True
    if current is None or not view.hooking(wanted, current) or current.id in draft.remembered.endings:
        return False
    state = draft.remembered.hooks.get((current.id, Hook.POST_START))
    if state is None:
        handler = handlers.resolved(wanted.spec, handler)
        draft.actions.append(RunHook(current, Hook.POST_START, handler, None))
    elif state.until is not None:
        draft.wake_at(state.until)
    return True


def _start(draft: Draft, view: View, wanted: Wanted) -> None:
    last = view.last(wanted)
    if last and last.running:
        return
    if last and not last.ended:  # made, and nobody started it: an agent was killed in between
        draft.actions.append(RemoveContainer(last))
        backoff = notes.number(last.labels, notes.BACKOFF, 0)
        _start_or_hold(draft, view, wanted, NextStart(last.attempt, backoff, 0, 0.0))
        return
    # an init container does its work once for every sandbox, whatever it did for an older one
    again = wanted.init and view.current(wanted) is None
    if last and not again and not view.restarts(wanted, last):
        return
    start = next_start(last, wanted.hash, draft.now, draft.remembered.ended)
    if start.wait_seconds > 0:
        draft.wake_in(start.wait_seconds)
        draft.waiting[wanted.name] = (
            f"back-off {go_duration(start.delay_seconds)} restarting failed "
            f"container={wanted.name} pod={identity(view.pod)}"
        )
        return
    _start_or_hold(draft, view, wanted, start)


def _start_or_hold(draft: Draft, view: View, wanted: Wanted, start: NextStart) -> None:
    if _held(draft, wanted.name):
        return
    target = ""
    if wanted.role is Role.EPHEMERAL and (name := wanted.spec.get("targetContainerName")):
        found = view.running.newest(name)
        target = found.id if found else ""
    draft.actions.append(StartContainer(wanted, start.attempt, start.backoff_seconds, target))


def _held(draft: Draft, name: str) -> bool:
    """Whether a failed try is too young for another one."""
    until = draft.remembered.held.get(name)
    if until is None or until <= draft.now:
        return False
    draft.wake_at(until)
    return True
