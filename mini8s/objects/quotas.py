"""What objects take of what a ResourceQuota limits, and which objects it is about: for admission, which
counts before it lets anything in, and for the controller, which says what is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from mini8s.objects import pods, quantity
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

Usage = dict[str, Decimal]
COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = {
    kind: kind.plural
    for kind in (
        PODS, SERVICES, REPLICATIONCONTROLLERS, RESOURCEQUOTAS, SECRETS, CONFIGMAPS, PERSISTENTVOLUMECLAIMS,
    )
}  # fmt: skip
_OF_CLASS = ".storageclass.storage.k8s.io/"


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


def speaks_of(name: str, kind: Kind) -> bool:
    """Whether an object of this kind can take of what is limited by this name."""
    return name in {f"count/{kind.resource}", _COUNTED.get(kind)} or (
        kind in _MEASURES and not name.startswith("count/")
    )


def hard(quota: Obj) -> Mapping[str, str]:
    """What it limits, and to how much."""
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
            if side == "requests" and (name in COMPUTE or name.startswith("hugepages-")):
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


def text(name: str, count: Decimal) -> str:
    """An amount as the API shows it."""
    if name.endswith(("memory", "storage")):
        return quantity.format_binary(int(count))
    return quantity.format_decimal_milli(int(count * 1000))
