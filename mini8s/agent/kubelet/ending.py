"""PURE: how containers end, step by step: preStop hook, its turn, SIGTERM, SIGKILL, all within one grace.

Everything that must be known of a container for that is on its labels, since a pod may be gone from the
server, or the agent be another one, before its containers have ended. Order and arithmetic are the kubelet's
(`kuberuntime_container.go: killContainer`, `kuberuntime_termination_order.go`; KEP-753 for sidecars).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from mini8s.agent.kubelet import notes
from mini8s.agent.kubelet.actions import BeginEnd, Draft, Ending, Hook, Kill, RunHook, Terminate
from mini8s.agent.runtime.records import Container
from mini8s.objects.kinds import Obj

LEAST_GRACE = 2  # seconds between SIGTERM and SIGKILL, whatever was asked for: the kubelet's own


def end(draft: Draft, container: Container, grace: float, message: str, *, turn: bool = True) -> None:
    """What comes next on a container's way out. `turn`: nobody else has to go before it."""
    ending = draft.remembered.endings.get(container.id)
    if ending is None:
        draft.actions.append(BeginEnd(container, message))
        ending = Ending(draft.now)
    if ending.asked is not None:
        _kill_in_time(draft, container, ending.since, ending.asked, grace)
        return
    over = ending.since + timedelta(seconds=grace)
    if grace > 0 and draft.now < over and (_hooked(draft, container, over) or not turn):
        draft.wake_at(over)
        return
    draft.actions.append(Terminate(container))
    _kill_in_time(draft, container, ending.since, draft.now, grace)


def end_all(draft: Draft, alive: Sequence[Container], grace: float, message: str) -> None:
    """All of a pod. Their hooks begin together; the sidecars' turn comes when they have nobody left to serve,
    the last of them first. `message` may speak of the container as {name}."""
    proper = any(_place(one) is None for one in alive)
    last = max((place for one in alive if (place := _place(one)) is not None), default=None)
    for one in alive:
        place = _place(one)
        turn = place is None or (not proper and place == last)
        end(draft, one, grace, message.format(name=one.name), turn=turn)


def _kill_in_time(draft: Draft, container: Container, since: datetime, asked: datetime, grace: float) -> None:
    kill = max(asked + timedelta(seconds=LEAST_GRACE), since + timedelta(seconds=grace))
    if draft.now >= kill:
        draft.actions.append(Kill(container))
        draft.wake_in(LEAST_GRACE)
    else:
        draft.wake_at(kill)


def _hooked(draft: Draft, container: Container, over: datetime) -> bool:
    """Whether a preStop hook has still something to do; it is begun if it wasn't."""
    handler = _pre_stop(container)
    if handler is None:
        return False
    state = draft.remembered.hooks.get((container.id, Hook.PRE_STOP))
    if state is None:
        left = (over - draft.now).total_seconds()
        draft.actions.append(RunHook(container, Hook.PRE_STOP, handler, left))
        return True
    if state.until is not None and not state.over:
        draft.wake_at(state.until)
    return not state.over


def _pre_stop(container: Container) -> Obj | None:
    text = container.labels.get(notes.PRE_STOP)
    handler: Obj | None = json.loads(text) if text else None
    return handler


def _place(container: Container) -> int | None:
    """A sidecar's place among the init containers; None for what is no sidecar."""
    text = container.labels.get(notes.SIDECAR, "")
    return int(text) if text.isdigit() else None
