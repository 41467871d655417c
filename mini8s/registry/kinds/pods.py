"""Pods: a spec that hardly changes, a status that the kubelet writes, a deletion that waits for it."""

from __future__ import annotations

from mini8s.objects import pods as facts
from mini8s.objects.kinds import PODS, Obj
from mini8s.registry import token_volume
from mini8s.registry.base import Column
from mini8s.registry.columns import AGE, NAME, NONE, column, spec, status
from mini8s.registry.kinds import pod_words
from mini8s.registry.problems import Causes
from mini8s.registry.rules import ephemeral_containers, label_keys, pod_updates, pods, resizing
from mini8s.registry.strategy import Strategy, Update, ValidateUpdate, keep_spec, keep_status, selectable
from mini8s.registry.strategy import spec as spec_of

_LONGEST_GRACE = 10**9  # seconds: a lifetime, and still a date
_GATED: Obj = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}

# What admission and the scheduler gave the pod, so that its own manifest can be put again.
_GIVEN = ("nodeName", "serviceAccountName", "serviceAccount", "priority", "preemptionPolicy")


def _begin(new: Obj) -> None:
    label_keys.select(new)
    new["status"] = {"phase": "Pending", "qosClass": facts.qos_class(new.get("spec") or {})}
    if new["spec"].get("schedulingGates"):
        new["status"]["conditions"] = [dict(_GATED)]


def _keep(new: Obj, old: Obj) -> None:
    keep_status(new, old)
    for part in _GIVEN:
        if part in old["spec"]:
            new["spec"].setdefault(part, old["spec"][part])
    token_volume.keep(new["spec"], old["spec"])


def _update_status(new: Obj, old: Obj) -> None:
    """Owners are not the kubelet's to change, and a quality of service is for life."""
    keep_spec(new, old)
    new["metadata"].pop("ownerReferences", None)
    if owners := old["metadata"].get("ownerReferences"):
        new["metadata"]["ownerReferences"] = owners
    new.setdefault("status", {}).setdefault("qosClass", facts.qos_class(old["spec"]))


def _whole(rule: ValidateUpdate) -> ValidateUpdate:
    """A rule of a subresource that changes the spec, together with those of every pod."""

    def check(new: Obj, old: Obj) -> Causes:
        yield from pods.check(new)
        yield from rule(new, old)

    return check


def _grace(pod: Obj, asked: int | None) -> int:
    """A pod that never reached a node, or has ended, keeps nobody waiting."""
    if not facts.node_name(pod) or facts.is_terminal(pod):
        return 0
    seconds = asked if asked is not None else pod["spec"].get("terminationGracePeriodSeconds", 0)
    return 1 if seconds < 0 else min(int(seconds), _LONGEST_GRACE)


STRATEGY = Strategy(
    kind=PODS,
    columns=(
        NAME,
        column("Ready", pod_words.ready, description="Containers that are ready, of all."),
        column("Status", pod_words.word, description="The pod's state in a word."),
        Column("Restarts", pod_words.restarts, description="How often its containers were restarted."),
        AGE,
        column("IP", lambda pod: status(pod).get("podIP") or NONE, wide=True),
        column("Node", lambda pod: spec(pod).get("nodeName") or NONE, wide=True),
        column("Nominated Node", lambda pod: status(pod).get("nominatedNodeName") or NONE, wide=True),
        column("Readiness Gates", pod_words.readiness_gates, wide=True),
    ),
    fields=selectable(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    prepare_for_create=_begin,
    validate=pods.check,
    validate_new=pods.new,
    update=Update(_keep, pod_updates.check),
    subresources={
        "status": Update(_update_status),
        "ephemeralcontainers": Update(ephemeral_containers.only, _whole(ephemeral_containers.check_update)),
        "resize": Update(resizing.only, _whole(resizing.check_update)),
    },
    generation=spec_of,
    grace=_grace,
)
