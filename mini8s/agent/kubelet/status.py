"""PURE: a pod's status as upstream reports it, from the same view that the plan acts on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mini8s.agent.kubelet.container_status import Notes, Waiting, container_status
from mini8s.agent.kubelet.view import Init, View, Wanted
from mini8s.objects import conditions, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time

OURS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a status says besides the containers. `since` is when this kubelet first saw the pod; `last_ip` is
    the address of a pod that has ended, which may be so before the server has heard that it had one."""

    now: datetime
    since: datetime
    host_ip: str
    pod_ip: str = ""
    last_ip: str = ""
    at_end: bool = False
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    last_words: Mapping[str, str] = field(default_factory=dict)


def pod_status(view: View, facts: Facts) -> Obj:
    """The whole status. What others wrote into it (conditions of their own) is kept."""
    old: Obj = view.pod.get("status") or {}
    notes = Notes(facts.waiting, facts.last_words)
    statuses = [container_status(view, wanted, notes) for wanted in view.containers]
    phase = view.phase(at_end=facts.at_end)
    status: Obj = {
        **{key: value for key, value in old.items() if key not in {"reason", "message"}},
        "phase": phase,
        "conditions": _conditions(view, facts, phase, statuses),
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "startTime": old.get("startTime") or format_time(facts.since),
        "containerStatuses": statuses,
        "qosClass": old.get("qosClass") or pods.qos_class(view.spec),
    }
    if view.init_containers:
        status["initContainerStatuses"] = [
            container_status(view, wanted, notes) for wanted in view.init_containers
        ]
    address = facts.pod_ip or facts.last_ip or old.get("podIP", "")
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    return status


def _conditions(view: View, facts: Facts, phase: str, statuses: Sequence[Obj]) -> list[Obj]:
    unready = [status["name"] for status in statuses if not status["ready"]]
    unready += [
        wanted.name for wanted in view.init_containers if wanted.sidecar and not _serves(view, wanted)
    ]
    containers = _containers_ready(phase, unready)
    judged = {
        "PodReadyToStartContainers": _condition(bool(view.sandbox and (facts.pod_ip or view.host_network))),
        "Initialized": _initialized(view, phase),
        "ContainersReady": containers,
        "Ready": _gated(view, containers),
        "PodScheduled": _condition(True),
    }
    found: list[Obj] = list((view.pod.get("status") or {}).get("conditions") or ())
    for name in OURS:
        found = conditions.set_condition(found, name, *judged[name], facts.now)
    return [{key: value for key, value in one.items() if value not in {"", None}} for one in found]


Judgement = tuple[str, str, str]  # status, reason, message


def _condition(is_true: bool, reason: str = "", message: str = "") -> Judgement:
    return ("True", "", "") if is_true else ("False", reason, message)


def _initialized(view: View, phase: str) -> Judgement:
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if view.init is Init.DONE:
        return _condition(True)
    missing = [wanted.name for wanted in view.init_containers if not view.init_done(wanted)]
    message = f"containers with incomplete status: [{' '.join(missing)}]"
    return _condition(False, "ContainersNotInitialized", message)


def _containers_ready(phase: str, unready: Sequence[str]) -> Judgement:
    if phase == "Succeeded":
        return _condition(False, "PodCompleted")
    if phase == "Failed":
        return _condition(False, "PodFailed")
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _condition(not unready, "ContainersNotReady", message)


def _gated(view: View, containers: Judgement) -> Judgement:
    """A pod with readiness gates is ready when those conditions, which others set, are true too."""
    if containers[0] != "True":
        return containers
    gates = [gate["conditionType"] for gate in view.spec.get("readinessGates") or ()]
    closed = [gate for gate in gates if not conditions.is_true(view.pod, gate)]
    message = "; ".join(
        f'corresponding condition of pod readiness gate "{gate}" '
        + ("does not exist." if conditions.get(view.pod, gate) is None else 'is not "True".')
        for gate in closed
    )
    return _condition(not closed, "ReadinessGatesNotReady", message)


def _serves(view: View, sidecar: Wanted) -> bool:
    current = view.current(sidecar)
    return current is not None and view.started(sidecar) and view.verdict(current).ready
