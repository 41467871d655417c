"""PURE: a pod's status as upstream reports it, from the same view that the plan acts on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mini8s.agent.kubelet.actions import resize_of
from mini8s.agent.kubelet.allocation import Pending
from mini8s.agent.kubelet.container_status import Notes, Waiting, container_status, lost
from mini8s.agent.kubelet.isolation.resources import differs
from mini8s.agent.kubelet.phase import initialized, phase
from mini8s.agent.kubelet.view import View
from mini8s.agent.network.base import Ips
from mini8s.objects import conditions, ip, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time

OURS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a status says besides the containers. `since` is when this kubelet first saw the pod; `last_ips`
    are the addresses of a pod that has ended, which may be so before the server has heard that it had any.
    `at_end`: nothing of the pod runs nor will, though its own end has not come."""

    now: datetime
    since: datetime
    host_ips: Ips
    pod_ips: Ips = ()
    last_ips: Ips = ()
    at_end: bool = False
    pending: Pending | None = None
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    last_words: Mapping[str, str] = field(default_factory=dict)


def pod_status(view: View, facts: Facts) -> Obj:
    """The whole status. What others wrote into it (conditions of their own) is kept."""
    old: Obj = view.pod.get("status") or {}
    notes = Notes(facts.waiting, facts.last_words)
    inits, mains, ephemerals = (
        [container_status(view, wanted, notes) for wanted in found]
        for found in (view.init_containers, view.containers, view.ephemeral_containers)
    )
    judged = _phase(view, [*inits, *mains], at_end=facts.at_end)
    if facts.at_end:
        mains = _all_ended(view, mains)
    status: Obj = {
        **{key: value for key, value in old.items() if key not in {"reason", "message"}},
        # a pod whose end the node decided is at its end when its containers are
        "phase": old.get("phase") or "Pending" if view.doom and view.alive else judged,
        "conditions": _conditions(view, facts, judged, inits, mains),
        "hostIP": facts.host_ips[0],
        "hostIPs": [{"ip": one} for one in facts.host_ips],
        "startTime": old.get("startTime") or format_time(facts.since),
        "qosClass": old.get("qosClass") or pods.qos_class(view.spec),
        **_listed("containerStatuses", mains),
        **_listed("initContainerStatuses", inits),
        **_listed("ephemeralContainerStatuses", ephemerals),
    }
    if view.doom and not view.alive:
        status |= {"reason": view.doom.reason, "message": view.doom.message}
    addresses = facts.pod_ips or facts.last_ips or ip.pod_addresses(view.pod)
    if addresses:
        status |= {"podIP": addresses[0], "podIPs": [{"ip": one} for one in addresses]}
    return status


def start_time(pod: Obj, since: datetime) -> str:
    """When this node took the pod up, as the API has it or will have it."""
    return str((pod.get("status") or {}).get("startTime") or format_time(since))


def _listed(word: str, statuses: Sequence[Obj]) -> Obj:
    return {word: list(statuses)} if statuses else {}


def _phase(view: View, statuses: Sequence[Obj], *, at_end: bool) -> str:
    if view.said_terminal:
        return pods.phase(view.pod)
    if view.doom:
        return "Failed"
    found = phase(view.spec, {status["name"]: status for status in statuses}, at_end=at_end)
    return "Failed" if at_end and found not in {"Succeeded", "Failed"} else found


def _all_ended(view: View, mains: list[Obj]) -> list[Obj]:
    """What never ran of a pod that had begun is counted as failed (`status_manager.go: TerminatePod`)."""
    if not initialized(view.spec, mains) and not all(map(view.init_done, view.init_containers)):
        return mains
    return [status if "terminated" in status["state"] else lost(status) for status in mains]


def _conditions(
    view: View, facts: Facts, judged: str, inits: Sequence[Obj], mains: Sequence[Obj]
) -> list[Obj]:
    containers = _containers_ready(view, judged, inits, mains)
    found_of = {
        "PodReadyToStartContainers": _condition(bool(view.sandbox and (facts.pod_ips or view.host_network))),
        "Initialized": _initialized(view, judged, mains),
        "ContainersReady": containers,
        "Ready": _gated(view, containers),
        "PodScheduled": _condition(True),
    }
    found: list[Obj] = list((view.pod.get("status") or {}).get("conditions") or ())
    for name in OURS:
        found = conditions.set_condition(found, name, *found_of[name], facts.now)
    if view.doom and view.doom.disrupts:
        why = "True", "TerminationByKubelet", view.doom.message
        found = conditions.set_condition(found, "DisruptionTarget", *why, facts.now)
    for name, said in _resizing(view, facts).items():
        if said is None:
            found = conditions.remove_condition(found, name)
        else:
            found = conditions.set_condition(found, name, *said, facts.now)
    return [{key: value for key, value in one.items() if value not in {"", None}} for one in found]


def _resizing(view: View, facts: Facts) -> dict[str, Judgement | None]:
    """Conditions that are there only while they are true."""
    pending = ("True", facts.pending.reason, facts.pending.message) if facts.pending else None
    going = None
    for wanted in (*view.init_containers, *view.containers):
        current = view.current(wanted)
        if current and current.running and differs(wanted.spec, current.resources):
            trouble = facts.waiting.get(resize_of(wanted.name))
            going = ("True", trouble.reason, trouble.message) if trouble else going or ("True", "", "")
    return {"PodResizePending": pending, "PodResizeInProgress": going}


Judgement = tuple[str, str, str]  # status, reason, message


def _condition(is_true: bool, reason: str = "", message: str = "") -> Judgement:
    return ("True", "", "") if is_true else ("False", reason, message)


def _initialized(view: View, judged: str, mains: Sequence[Obj]) -> Judgement:
    if judged == "Succeeded":
        return "True", "PodCompleted", ""
    if initialized(view.spec, mains):
        return _condition(True)
    missing = [wanted.name for wanted in view.init_containers if not view.init_done(wanted)]
    message = f"containers with incomplete status: [{' '.join(missing)}]"
    return _condition(not missing, "ContainersNotInitialized", message)


def _containers_ready(view: View, judged: str, inits: Sequence[Obj], mains: Sequence[Obj]) -> Judgement:
    if judged == "Succeeded":
        return _condition(False, "PodCompleted")
    if judged == "Failed":
        return _condition(False, "PodFailed")
    sidecars = {wanted.name for wanted in view.init_containers if wanted.sidecar}
    counted = (*(status for status in inits if status["name"] in sidecars), *mains)
    unready = [status["name"] for status in counted if not status["ready"]]
    message = f"containers with unready status: [{' '.join(unready)}]"
    return _condition(not unready, "ContainersNotReady", message)


def _gated(view: View, containers: Judgement) -> Judgement:
    """A pod with readiness gates is ready when those conditions, which others set, are true too."""
    if containers[0] != "True":
        return containers
    closed = []
    for gate in (one["conditionType"] for one in view.spec.get("readinessGates") or ()):
        found = conditions.get(view.pod, gate)
        if found is None:
            closed.append(f'corresponding condition of pod readiness gate "{gate}" does not exist.')
        elif found.get("status") != "True":
            closed.append(
                f'the status of pod readiness gate "{gate}" is not "True", but {found.get("status")}'
            )
    return _condition(not closed, "ReadinessGatesNotReady", ", ".join(closed))
