"""What `kubectl get pods` says of a pod in one word, and of its restarts (upstream's `printPod`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from mini8s.objects import conditions, meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import age


@dataclass(slots=True)
class Summary:
    """What is gathered while walking over a pod's containers."""

    word: str
    ready: int = 0
    total: int = 0
    restarts: int = 0
    restarted: str = ""  # when the last container before the current one ended
    running: bool = field(default=False)

    def count(self, state: Obj) -> None:
        self.restarts += state.get("restartCount", 0)
        ended = (state.get("lastState") or {}).get("terminated") or {}
        self.restarted = max(self.restarted, ended.get("finishedAt") or "")


def summary(pod: Obj) -> Summary:
    status = pod.get("status") or {}
    found = Summary(status.get("reason") or status.get("phase") or "Unknown")
    if (conditions.get(pod, "PodScheduled") or {}).get("reason") == "SchedulingGated":
        found.word = "SchedulingGated"
    spec = pod.get("spec") or {}
    found.total = len(spec.get("containers") or ()) + len(_sidecars(spec))
    waiting = _initializing(spec, status, found)
    if not waiting or conditions.is_true(pod, "Initialized"):
        _containers(pod, status, found, waiting=waiting)
    if meta.deleting(pod):
        _leaving(pod, status, found)
    return found


def ready(pod: Obj) -> str:
    found = summary(pod)
    return f"{found.ready}/{found.total}"


def word(pod: Obj) -> str:
    return summary(pod).word


def restarts(pod: Obj, now: datetime) -> str:
    found = summary(pod)
    if found.restarts and found.restarted:
        return f"{found.restarts} ({age(found.restarted, now)} ago)"
    return str(found.restarts)


def readiness_gates(pod: Obj) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or ()
    met = sum(conditions.is_true(pod, gate.get("conditionType") or "") for gate in gates)
    return f"{met}/{len(gates)}" if gates else "<none>"


def _sidecars(spec: Obj) -> set[str]:
    return {each["name"] for each in spec.get("initContainers") or () if pods.is_sidecar(each)}


def _initializing(spec: Obj, status: Obj, found: Summary) -> bool:
    """Whether an init container is still due; then its state is the pod's word."""
    sidecars, beside = _sidecars(spec), Summary("")
    total = len(spec.get("initContainers") or ())
    for index, state in enumerate(status.get("initContainerStatuses") or ()):
        found.count(state)
        sidecar = state.get("name") in sidecars
        if sidecar:
            beside.count(state)
        at = state.get("state") or {}
        if (at.get("terminated") or {}).get("exitCode", 1) == 0:
            continue
        if sidecar and state.get("started"):
            found.ready += bool(state.get("ready"))
            continue
        found.word = _init_word(at, f"{index}/{total}")
        return True
    found.restarts, found.restarted = beside.restarts, beside.restarted
    return False


def _init_word(at: Obj, progress: str) -> str:
    waiting = (at.get("waiting") or {}).get("reason") or ""
    if "terminated" in at:
        return f"Init:{_ended(at['terminated'])}"
    if waiting and waiting != "PodInitializing":
        return f"Init:{waiting}"
    return f"Init:{progress}"


def _containers(pod: Obj, status: Obj, found: Summary, *, waiting: bool) -> None:
    if waiting:  # the pod was initialized before: only what runs now counts
        found.restarts, found.restarted = 0, ""
    for state in reversed(status.get("containerStatuses") or ()):
        found.count(state)
        at = state.get("state") or {}
        if reason := (at.get("waiting") or {}).get("reason"):
            found.word = reason
        elif at.get("terminated") is not None:
            found.word = _ended(at["terminated"])
        elif state.get("ready") and at.get("running") is not None:
            found.running = True
            found.ready += 1
    if found.word == "Completed" and found.running:
        found.word = "Running" if pods.is_ready(pod) else "NotReady"


def _ended(terminated: Obj) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _leaving(pod: Obj, status: Obj, found: Summary) -> None:
    if status.get("reason") == "NodeLost":
        found.word = "Unknown"
    elif not pods.is_terminal(pod):
        found.word = "Terminating"
