"""PURE: a pod's phase, told from its containers' statuses (upstream's `kubelet_pods.go: getPhase`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mini8s.objects import pods
from mini8s.objects.kinds import Obj


@dataclass(slots=True)
class _Count:
    """Containers by state. `pending`: init containers that must be through first."""

    pending: int = 0
    pending_sidecars: int = 0
    failed_init: bool = False
    running: int = 0
    waiting: int = 0
    stopped: int = 0
    succeeded: int = 0


def phase(spec: Obj, statuses: Mapping[str, Obj], *, at_end: bool) -> str:
    """`statuses` by name. `at_end`: nothing of the pod will be started again, whatever its policy."""
    policy = spec.get("restartPolicy") or "Always"
    count = _Count()
    for container in spec.get("initContainers") or ():
        (_sidecar if pods.is_sidecar(container) else _init)(count, statuses[container["name"]])
    mains = [statuses[container["name"]] for container in spec["containers"]]
    for status in mains:
        _main(count, status)
    if count.failed_init and policy == "Never":
        return "Failed"
    if count.pending or (count.pending_sidecars and not any(map(_has_run, mains))) or count.waiting:
        return "Pending"
    if count.running:
        return "Running"
    if not count.stopped:
        return "Pending"
    if policy == "Always" and not at_end:
        return "Running"
    if count.stopped == count.succeeded:
        return "Succeeded"
    return "Failed" if at_end or policy == "Never" else "Running"


def initialized(spec: Obj, statuses: Sequence[Obj]) -> bool:
    """A container of the pod proper runs or has run: the init phase is over."""
    names = {container["name"] for container in spec["containers"]}
    return any(_has_run(status) for status in statuses if status["name"] in names)


def _init(count: _Count, status: Obj) -> None:
    state, last = status["state"], status.get("lastState") or {}
    ended = state.get("terminated") or ("waiting" in state and last.get("terminated"))
    if not ended:
        count.pending += 1
    elif ended["exitCode"]:
        count.failed_init = True


def _sidecar(count: _Count, status: Obj) -> None:
    """One that has ended is restarted, and doesn't count."""
    state = status["state"]
    if "running" in state:
        count.running += 1
        count.pending_sidecars += not status.get("started")
    elif "waiting" in state and not (status.get("lastState") or {}).get("terminated"):
        count.pending_sidecars += 1
        count.waiting += 1


def _main(count: _Count, status: Obj) -> None:
    state = status["state"]
    if "running" in state:
        count.running += 1
    elif "terminated" in state:
        count.stopped += 1
        count.succeeded += not state["terminated"]["exitCode"]
    elif (status.get("lastState") or {}).get("terminated"):
        count.stopped += 1
    else:
        count.waiting += 1


def _has_run(status: Obj) -> bool:
    return "running" in status["state"] or "terminated" in status["state"]
