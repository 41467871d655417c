"""PURE: which amounts of cpu and memory a pod has on its node while somebody wishes for others (KEP-1287;
upstream's `pkg/kubelet/allocation`).

What was given last is in the API, in the containers' statuses, so that an agent that starts again goes on
from there. A wish for more than the node has, or has left, waits, and the pod goes on with what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mini8s.objects import meta, pods, quantity
from mini8s.objects.kinds import Obj

_PARTS = {"containers": "containerStatuses", "initContainers": "initContainerStatuses"}
_RESOURCES = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Pending:
    """Why a wish waits: Infeasible for as long as the node is what it is, Deferred until others go."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Allocation:
    """The pod with the amounts it has, and what hinders it from having others."""

    pod: Obj
    pending: Pending | None = None


def allocate(pod: Obj, others: Iterable[Obj], allocatable: Mapping[str, str]) -> Allocation:
    """`others` are all that may run on the node."""
    had = _with_given(pod)
    if had["spec"] == pod["spec"] or meta.deleting(pod) or pods.is_terminal(pod):
        return Allocation(pod)
    taken = [
        _with_given(one) for one in others if meta.uid(one) != meta.uid(pod) and not pods.is_terminal(one)
    ]
    pending = _hindrance(pod, taken, allocatable)
    return Allocation(had, pending) if pending else Allocation(pod)


def _hindrance(pod: Obj, taken: Iterable[Obj], allocatable: Mapping[str, str]) -> Pending | None:
    used = [pods.requests(one["spec"]) for one in taken]
    for place, name in enumerate(_RESOURCES):
        wanted, there = pods.requests(pod["spec"])[place], _amount(name, allocatable.get(name) or "0")
        gone = sum(one[place] for one in used)
        asked = f"{name}, requested: {wanted},"
        if wanted > there:
            return Pending("Infeasible", f"Node didn't have enough capacity: {asked} capacity: {there}")
        if wanted + gone > there:
            said = f"Node didn't have enough resource: {asked} used: {gone}, capacity: {there}"
            return Pending("Deferred", said)
    return None


def _amount(name: str, stated: str) -> int:
    return quantity.milli(stated) if name == "cpu" else quantity.value(stated)


def _with_given(pod: Obj) -> Obj:
    """The pod with what its containers were given last; one that was given nothing yet gets what it asks
    for."""
    spec = dict(pod["spec"])
    for part, statuses in _PARTS.items():
        given = {one["name"]: one.get("resources") for one in (pod.get("status") or {}).get(statuses) or ()}
        if part in spec:
            spec[part] = [_given(one, given.get(one["name"])) for one in spec[part]]
    return {**pod, "spec": spec}


def _given(container: Obj, given: Obj | None) -> Obj:
    asked = container.get("resources") or {}
    if given is None or all(
        _same(asked.get(side) or {}, given.get(side) or {}) for side in ("limits", "requests")
    ):
        return container
    return {**container, "resources": {**asked, **{side: given[side] for side in given}}}


def _same(asked: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Of cpu and memory: the rest can't be resized."""
    return all(
        _amount(name, asked.get(name) or "0") == _amount(name, given.get(name) or "0") for name in _RESOURCES
    )
