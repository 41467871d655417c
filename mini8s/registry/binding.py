"""The `binding` subresource: how a scheduler gives a pod its node, once and for all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mini8s.objects import conditions, meta
from mini8s.objects.errors import BadRequest, Cause
from mini8s.objects.kinds import BINDINGS, PODS, Obj
from mini8s.registry import problems, refusals
from mini8s.registry.strategy import Update

WAY = Update(made_here=True)
SUCCESS: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def check(binding: Obj, name: str) -> None:
    """Whether it is a binding of that pod to a node."""
    if meta.name(binding) not in {"", name}:
        raise BadRequest(
            f"the name of the object ({meta.name(binding)}) does not match the name on the URL ({name})"
        )
    if causes := list(_causes(binding)):
        raise refusals.invalid(BINDINGS, name, causes)


def bound(pod: Obj, binding: Obj, now: datetime) -> Obj:
    """The pod on its node. Raises Conflict when it has one or is going away."""
    name, node = meta.name(pod), binding["target"]["name"]
    spec, said = pod["spec"], binding.get("metadata") or {}
    why = ""
    if meta.deleting(pod):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif spec.get("nodeName"):
        why = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    elif spec.get("schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
    if why:
        raise refusals.conflict(PODS, name, why, subresource="binding")
    changed = {part: said[part] for part in ("uid", "resourceVersion") if said.get(part)}
    if said.get("annotations"):
        changed["annotations"] = meta.annotations(pod) | said["annotations"]
    status = pod.get("status") or {}
    known = conditions.set_condition(
        status.get("conditions") or (), "PodScheduled", "True", reason="", message="", now=now
    )
    return pod | {
        "metadata": {**pod["metadata"], "resourceVersion": "", **changed},
        "spec": spec | {"nodeName": node},
        "status": status | {"conditions": [_without_empty(item) for item in known]},
    }


def _causes(binding: Obj) -> Iterable[Cause]:
    target = binding.get("target") or {}
    if target.get("kind") not in {None, "", "Node"}:
        yield problems.not_supported("target.kind", target["kind"], ("Node", "<empty>"))
    if not target.get("name"):
        yield problems.required("target.name")


def _without_empty(condition: Obj) -> Obj:
    return {key: value for key, value in condition.items() if value != ""}
