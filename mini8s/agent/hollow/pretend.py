"""PURE: what a container engine would have of a pod by now, if it had one.

All is told from the pod itself: it began when its status says, a moment later its containers run, and nothing
is remembered. So a process that is started again goes on where another one ended. A container runs for ever,
but for one whose pod says how long in an annotation, and one whose command is `exit N`, which ends at once.
One that ends is started again as its pod's policy has it, without a back-off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from mini8s.agent.kubelet.view import View, Wanted
from mini8s.agent.runtime.records import Container, RunningPod, Sandbox
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time, parse_time

SECONDS = "mini8s.io/hollow-seconds"  # annotation: how long each of a pod's containers runs
MOMENT = timedelta(seconds=1)  # from a node's first look at a pod to containers that run
_ONCE = timedelta(seconds=1)  # what a container that ends at once takes, so that a crash loop has a pace


def begun(pod: Obj, now: datetime) -> datetime:
    """When its node took it up; a status counts in whole seconds."""
    said = (pod.get("status") or {}).get("startTime")
    return parse_time(said) if said else now.replace(microsecond=0)


def running(pod: Obj, since: datetime, now: datetime) -> RunningPod:
    """All that the engine has of it."""
    uid = meta.uid(pod)
    sandbox = Sandbox(_id(uid), 1, 0, running=True, created_at=format_time(since))
    bare = RunningPod(meta.namespace(pod), meta.name(pod), uid, (sandbox,))
    if now < since + MOMENT:
        return bare
    view = View(pod, bare)
    began = since + MOMENT
    containers = [
        *(_init(view, wanted, began) for wanted in view.init_containers),
        *(_main(view, wanted, began, now) for wanted in view.containers),
    ]
    return RunningPod(bare.namespace, bare.name, uid, bare.sandboxes, tuple(containers))


def next_change(pod: Obj, since: datetime, now: datetime) -> float | None:
    """Seconds until `running` says something else, None when it won't."""
    began = since + MOMENT
    if now < began:
        return (began - now).total_seconds()
    view = View(pod, running(pod, since, now))
    return min(_ends(view, began, now), default=None)


def settled(pod: Obj) -> bool:
    """The API knows all that is to be said of it until it is deleted."""
    if pods.is_terminal(pod):
        return True
    return pods.is_ready(pod) and not any(_lasts(pod, one) for one in pod["spec"]["containers"])


def _ends(view: View, began: datetime, now: datetime) -> Iterable[float]:
    for wanted in view.containers:
        lasts, current = _lasts(view.pod, wanted.spec), view.last(wanted)
        if lasts and current and current.running:
            yield (lasts - (now - began) % lasts).total_seconds()


def _lasts(pod: Obj, container: Obj) -> timedelta | None:
    """How long a container runs, None: for ever."""
    if _exit_code(container) is not None:
        return _ONCE
    said = meta.annotations(pod).get(SECONDS, "")
    return max(_ONCE, timedelta(seconds=int(said))) if said.isdecimal() else None


def _exit_code(container: Obj) -> int | None:
    """Of a container whose command is `exit N`."""
    match [*(container.get("command") or ()), *(container.get("args") or ())]:
        case ["exit", str(code)] if code.isdecimal():
            return int(code) % 256
    return None


def _init(view: View, wanted: Wanted, began: datetime) -> Container:
    if wanted.sidecar:
        return _container(view, wanted, 0, began)
    return _container(view, wanted, 0, began, began, _exit_code(wanted.spec) or 0)


def _main(view: View, wanted: Wanted, began: datetime, now: datetime) -> Container:
    lasts, code = _lasts(view.pod, wanted.spec), _exit_code(wanted.spec) or 0
    if lasts is None:
        return _container(view, wanted, 0, began)
    first = _container(view, wanted, 0, began, began + lasts, code)
    if view.restarts(wanted, first):
        turn = int((now - began) / lasts)
        return _container(view, wanted, turn, began + turn * lasts)
    return first if now >= began + lasts else _container(view, wanted, 0, began)


def _container(
    view: View, wanted: Wanted, turn: int, start: datetime, end: datetime | None = None, code: int = 0
) -> Container:
    image = str(wanted.spec.get("image", ""))
    return Container(
        id=_id(meta.uid(view.pod), wanted.name, str(turn)),
        name=wanted.name,
        attempt=turn,
        image=image,
        image_id=f"sha256:{_id(image)}",
        state="exited" if end else "running",
        created_at=format_time(start),
        started_at=format_time(start),
        finished_at=format_time(end) if end else "",
        exit_code=code,
        sandbox_id=_id(meta.uid(view.pod)),
    )


def _id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()
