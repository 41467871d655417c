"""ResourceQuota: a namespace holds no more than its quotas allow.

What is used is counted from what is stored, at each creation and each growth: slower than a number that is
kept, and never wrong. `Turns` makes counting and the write that it allows one step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal

from mini8s.objects import meta, pods, quantity
from mini8s.objects.kinds import (
    CONFIGMAPS,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    SECRETS,
    SERVICES,
    Kind,
    Obj,
)
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt

Usage = dict[str, Decimal]
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = {
    kind: kind.plural
    for kind in (
        PODS, SERVICES, REPLICATIONCONTROLLERS, RESOURCEQUOTAS, SECRETS, CONFIGMAPS, PERSISTENTVOLUMECLAIMS,
    )
}  # fmt: skip
_GROW = frozenset({(PODS, "resize"), (SERVICES, ""), (PERSISTENTVOLUMECLAIMS, "")})
_AT_ONCE = nullcontext()
_OF_CLASS = ".storageclass.storage.k8s.io/"


def counts(kind: Kind, subresource: str) -> bool:
    """Whether a change of such an object may take more of what is limited."""
    return (kind, subresource) in _GROW


class Turns:
    """Creations and growth in a namespace that has a quota come one after the other."""

    def __init__(self, has_quota: Callable[[str], bool]) -> None:
        self._has_quota = has_quota
        self._lock = threading.Lock()  # guards the time between counting and being stored

    def of(self, namespace: str) -> AbstractContextManager[object]:
        return self._lock if namespace and self._has_quota(namespace) else _AT_ONCE


def resource_quota(attempt: Attempt) -> None:
    grows = attempt.operation == "UPDATE" and counts(attempt.kind, attempt.subresource)
    creates = attempt.operation == "CREATE" and not attempt.subresource
    if not attempt.kind.namespaced or not (creates or grows):
        return
    for quota in attempt.world.all(RESOURCEQUOTAS, attempt.namespace):
        hard = {name: Decimal(quantity.parse(most)) for name, most in _hard(quota).items()}
        if covers(quota, attempt.kind, attempt.obj):
            _judge(attempt, quota, hard)


def usage(kind: Kind, obj: Obj) -> Usage:
    """What one object takes of whatever can be limited."""
    counts = {f"count/{kind.resource}": Decimal(1)}
    if kind in _COUNTED and not (kind is PODS and pods.is_terminal(obj)):
        counts[_COUNTED[kind]] = Decimal(1)
    more = _MEASURES.get(kind)
    return counts | (more(obj) if more else {})


def covers(quota: Obj, kind: Kind, obj: Obj) -> bool:
    """Whether an object is in all the scopes of a quota; only pods are in any."""
    spec = quota.get("spec") or {}
    wanted = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return not wanted or (kind is PODS and all(_in_scope(item, obj) for item in wanted))


def _judge(attempt: Attempt, quota: Obj, hard: Mapping[str, Decimal]) -> None:
    asked = {name: count for name, count in usage(attempt.kind, attempt.obj).items() if name in hard}
    if attempt.old is not None:
        had = usage(attempt.kind, attempt.old)
        asked = {name: count for name, count in asked.items() if count > had.get(name, 0)}
    elif attempt.kind is PODS:
        _check_stated(attempt, quota, hard)
    if not any(asked.values()):
        return
    used: Usage = dict.fromkeys(asked, Decimal(0))
    for other in attempt.world.all(attempt.kind, attempt.namespace):
        if covers(quota, attempt.kind, other) and not (attempt.old and meta.name(other) == attempt.name):
            for name, count in usage(attempt.kind, other).items():
                used[name] = used.get(name, Decimal(0)) + count
    over = sorted(name for name, count in asked.items() if count and used[name] + count > hard[name])
    if over:
        said = ", ".join(
            f"{word}: {','.join(f'{name}={_text(name, amounts[name])}' for name in over)}"
            for word, amounts in (("requested", asked), ("used", used), ("limited", hard))
        )
        raise refusals.forbidden(attempt.kind, attempt.name, f"exceeded quota: {meta.name(quota)}, {said}")


def _check_stated(attempt: Attempt, quota: Obj, hard: Iterable[str]) -> None:
    """What is limited in all must be stated of each container."""
    missing: dict[str, list[str]] = {}
    containers = [
        *(attempt.spec.get("containers") or ()), *(attempt.spec.get("initContainers") or ())
    ]  # fmt: skip
    for name in sorted(hard):
        side, _, resource = name.rpartition(".")
        if resource not in _COMPUTE:
            continue
        silent = [
            item.get("name") or ""
            for item in containers
            if resource not in ((item.get("resources") or {}).get(side or "requests") or {})
        ]
        if silent:
            missing[name] = silent
    if missing:
        said = "; ".join(f"{name} for: {','.join(silent)}" for name, silent in missing.items())
        why = f"failed quota: {meta.name(quota)}: must specify {said}"
        raise refusals.forbidden(PODS, attempt.name, why)


def _hard(quota: Obj) -> Mapping[str, str]:
    return (quota.get("spec") or {}).get("hard") or {}


def _pod(pod: Obj) -> Usage:
    if pods.is_terminal(pod):
        return {}
    spec, found = pod.get("spec") or {}, {}
    for side in ("requests", "limits"):
        names = {
            name
            for part in ("containers", "initContainers")
            for item in spec.get(part) or ()
            for name in (item.get("resources") or {}).get(side) or ()
        }
        for name in names:
            found[f"{side}.{name}"] = quantity.parse(pods.amount_text(name, pods.needed(spec, side, name)))
            if side == "requests" and name in _COMPUTE:
                found[name] = found[f"{side}.{name}"]
    return found


def _service(service: Obj) -> Usage:
    spec = service.get("spec") or {}
    kind, ports = spec.get("type"), len(spec.get("ports") or ())
    opens = kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True))
    return {
        "services.nodeports": Decimal(ports if opens else 0),
        "services.loadbalancers": Decimal(kind == "LoadBalancer"),
    }


def _claim(claim: Obj) -> Usage:
    spec = claim.get("spec") or {}
    stated = ((spec.get("resources") or {}).get("requests") or {}).get("storage") or "0"
    found = {"requests.storage": quantity.parse(stated)}
    if name := spec.get("storageClassName"):
        found[f"{name}{_OF_CLASS}requests.storage"] = found["requests.storage"]
        found[f"{name}{_OF_CLASS}persistentvolumeclaims"] = Decimal(1)
    return found


_MEASURES: Mapping[Kind, Callable[[Obj], Usage]] = {
    PODS: _pod,
    SERVICES: _service,
    PERSISTENTVOLUMECLAIMS: _claim,
}


def _in_scope(wanted: Obj, pod: Obj) -> bool:
    spec, name = pod.get("spec") or {}, wanted.get("scopeName") or ""
    if name == "PriorityClass":
        return _among(wanted, spec.get("priorityClassName"))
    ends = spec.get("activeDeadlineSeconds") is not None
    best_effort = pods.qos_class(spec) == "BestEffort"
    affinity = spec.get("affinity") or {}
    return {
        "Terminating": ends,
        "NotTerminating": not ends,
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
        "CrossNamespacePodAffinity": _crosses(affinity),
    }.get(name, False)


def _among(wanted: Obj, value: str | None) -> bool:
    values = wanted.get("values") or ()
    match wanted.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "DoesNotExist":
            return not value
    return bool(value)


def _crosses(affinity: Obj) -> bool:
    """Whether pods of other namespaces matter to where this one goes."""
    rules = [rule for part in ("podAffinity", "podAntiAffinity") for rule in _rules(affinity.get(part) or {})]
    return any(rule.get("namespaces") or rule.get("namespaceSelector") is not None for rule in rules)


def _rules(found: Obj) -> Iterable[Obj]:
    yield from found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    preferred = found.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    yield from (rule.get("podAffinityTerm") or {} for rule in preferred)


def _text(name: str, count: Decimal) -> str:
    if name.endswith(("memory", "storage")):
        return quantity.format_binary(int(count))
    return quantity.format_decimal_milli(int(count * 1000))
