"""RuntimeClass: what a pod's runtime costs besides its containers, and where it is to be had
(https://kubernetes.io/docs/concepts/containers/runtime-class/)."""

from __future__ import annotations

from typing import Any

from mini8s.objects import quantity
from mini8s.objects.kinds import PODS, RUNTIMECLASSES, Obj
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt


def runtime_class(attempt: Attempt) -> None:
    if not attempt.creates_pod:
        return
    spec, name = attempt.spec, attempt.spec.get("runtimeClassName")
    if not name:
        if spec.get("overhead"):
            raise _refused(attempt, "Pod Overhead set without corresponding RuntimeClass defined Overhead")
        return
    found = attempt.world.find(RUNTIMECLASSES, "", name)
    if found is None:
        raise _refused(attempt, f'RuntimeClass "{name}" not found')
    _overhead(attempt, (found.get("overhead") or {}).get("podFixed") or {})
    _scheduling(attempt, found.get("scheduling") or {})


def _overhead(attempt: Attempt, fixed: Obj) -> None:
    stated = attempt.spec.get("overhead")
    if stated and _amounts(stated) != _amounts(fixed):
        raise _refused(attempt, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    if fixed:
        attempt.spec["overhead"] = fixed


def _scheduling(attempt: Attempt, scheduling: Obj) -> None:
    spec, selector = attempt.spec, scheduling.get("nodeSelector") or {}
    stated: Obj = spec.get("nodeSelector") or {}
    for key in sorted(selector.keys() & stated.keys()):
        if selector[key] != stated[key]:
            why = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {selector[key]}; "
                f"pod.spec.nodeSelector[{key}] = {stated[key]}"
            )
            raise _refused(attempt, why)
    if selector:
        spec["nodeSelector"] = stated | selector
    tolerations: list[Any] = list(spec.get("tolerations") or ())
    more = [one for one in scheduling.get("tolerations") or () if one not in tolerations]
    if more:
        spec["tolerations"] = tolerations + more


def _amounts(resources: Obj) -> dict[str, int]:
    return {name: quantity.milli(amount) for name, amount in resources.items()}


def _refused(attempt: Attempt, why: str) -> Exception:
    return refusals.forbidden(PODS, attempt.name, f"pod rejected: {why}")
