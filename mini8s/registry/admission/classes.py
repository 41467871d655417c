"""Priority, DefaultStorageClass, DefaultIngressClass: what a class means, and which one is meant by none."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects import claims, meta
from mini8s.objects.kinds import (
    INGRESSCLASSES,
    INGRESSES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    PRIORITYCLASSES,
    STORAGECLASSES,
    Obj,
)
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt
from mini8s.registry.rules.classes import SYSTEM_PRIORITIES

_PREEMPT = "PreemptLowerPriority"
_OLD_INGRESS = "kubernetes.io/ingress.class"
_DEFAULT_INGRESS = "ingressclass.kubernetes.io/is-default-class"


def priority(attempt: Attempt) -> None:
    """The number behind a pod's priority class."""
    if not attempt.creates_pod:
        return
    spec = attempt.spec
    chosen = _priority_class(attempt, spec.get("priorityClassName") or "")
    value = chosen.get("value", 0)
    if spec.get("priority") not in {None, value}:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name"
        )
        raise refusals.forbidden(PODS, attempt.name, why)
    if chosen:
        spec["priorityClassName"] = meta.name(chosen)
    spec["priority"] = value
    spec.setdefault("preemptionPolicy", chosen.get("preemptionPolicy") or _PREEMPT)


def only_default_priority(attempt: Attempt) -> None:
    """One class at most is everybody's."""
    if attempt.kind is not PRIORITYCLASSES or attempt.operation == "DELETE":
        return
    if not attempt.obj.get("globalDefault"):
        return
    for other in attempt.world.all(PRIORITYCLASSES, ""):
        if other.get("globalDefault") and meta.name(other) != attempt.name:
            why = f"PriorityClass {meta.name(other)} is already marked as default. Only one default can exist"
            raise refusals.forbidden(PRIORITYCLASSES, attempt.name, why)


def default_storage_class(attempt: Attempt) -> None:
    if not attempt.creates(PERSISTENTVOLUMECLAIMS) or attempt.spec.get("storageClassName") is not None:
        return
    if claims.OLD_CLASS in meta.annotations(attempt.obj):
        return
    found = claims.default_class(attempt.world.all(STORAGECLASSES, ""))
    if found:
        attempt.spec["storageClassName"] = found


def default_ingress_class(attempt: Attempt) -> None:
    if not attempt.creates(INGRESSES) or attempt.spec.get("ingressClassName") is not None:
        return
    if _OLD_INGRESS in meta.annotations(attempt.obj):
        return
    classes = attempt.world.all(INGRESSCLASSES, "")
    found = [item for item in classes if meta.annotations(item).get(_DEFAULT_INGRESS) == "true"]
    if found:
        attempt.spec["ingressClassName"] = _newest(found)


def _priority_class(attempt: Attempt, name: str) -> Obj:
    if not name:
        return next(
            (item for item in attempt.world.all(PRIORITYCLASSES, "") if item.get("globalDefault")), {}
        )
    found = attempt.world.find(PRIORITYCLASSES, "", name)
    if found is None and name in SYSTEM_PRIORITIES:
        return {"metadata": {"name": name}, "value": SYSTEM_PRIORITIES[name]}
    if found is None:
        raise refusals.forbidden(PODS, attempt.name, f"no PriorityClass with name {name} was found")
    return found


def _newest(found: Sequence[Obj]) -> str:
    """Of several defaults the newest counts; of those made in the same second the first by name."""
    times = [item["metadata"].get("creationTimestamp") or "" for item in found]
    return min(meta.name(item) for item, time in zip(found, times, strict=True) if time == max(times))
