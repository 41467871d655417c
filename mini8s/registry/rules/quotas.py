"""Rules of ResourceQuotas and LimitRanges."""

from __future__ import annotations

from collections.abc import Mapping

from mini8s.objects import names, quantity
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, named, not_supported, required
from mini8s.registry.rules import values

_COMPUTE = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTED = frozenset({
    "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
    "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
})  # fmt: skip
_SCOPES = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass",
    "Terminating", "VolumeAttributesClass",
)  # fmt: skip
_OPPOSITES = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_EXISTENCE = frozenset({"Exists", "DoesNotExist"})
_BOUNDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def quota(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    for name, amount in (spec.get("hard") or {}).items():
        field = f"spec.hard[{name}]"
        yield from _quota_name(name, field)
        if quantity.parse(amount) < 0:
            yield invalid(field, amount, "must be greater than or equal to 0")
        elif (name in _COUNTED or name.startswith("count/")) and quantity.parse(amount) % 1:
            yield invalid(field, amount, "must be an integer")
    yield from values.each_one_of(spec.get("scopes") or (), "spec.scopes", _SCOPES)
    for pair in _OPPOSITES:
        if pair <= set(spec.get("scopes") or ()):
            yield invalid("spec.scopes", spec["scopes"], "conflicting scopes")
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    for index, expression in enumerate(expressions):
        yield from _scope(expression, f"spec.scopeSelector.matchExpressions[{index}]")


def same_scopes(new: Obj, old: Obj) -> Causes:
    now, before = ((obj.get("spec") or {}).get("scopes") or [] for obj in (new, old))
    if sorted(now) != sorted(before):
        yield invalid("spec.scopes", now, "field is immutable")


def limit_range(found: Obj) -> Causes:
    seen: set[str] = set()
    for index, item in enumerate((found.get("spec") or {}).get("limits") or ()):
        field, about = f"spec.limits[{index}]", item.get("type") or ""
        if not about:
            yield required(f"{field}.type")
        elif about in seen:
            yield duplicate(f"{field}.type", about)
        seen.add(about)
        yield from _limits(item, about, field)


def _quota_name(name: str, field: str) -> Causes:
    yield from named(field, name, names.qualified_name(name))
    plain = name.removeprefix("requests.").removeprefix("limits.")
    known = plain in _COMPUTE or plain.startswith("hugepages-") or name in {*_COUNTED, "requests.storage"}
    if "/" not in name and not known:
        yield invalid(field, name, "must be a standard resource for quota")


def _scope(expression: Obj, field: str) -> Causes:
    name, operator = expression.get("scopeName") or "", expression.get("operator") or ""
    stated = expression.get("values") or ()
    if name not in _SCOPES:
        yield not_supported(f"{field}.scopeName", name, _SCOPES)
    if operator in {"In", "NotIn"}:
        if not stated:
            why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            yield required(f"{field}.values", why)
    elif operator not in _EXISTENCE:
        yield invalid(f"{field}.operator", operator, "not a valid selector operator")
    elif stated:
        why = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"
        yield invalid(f"{field}.values", stated, why)


def _limits(item: Obj, about: str, field: str) -> Causes:
    if about == "Pod":
        for part in ("default", "defaultRequest"):
            if item.get(part):
                yield forbidden(f"{field}.{part}", "may not be specified when `type` is 'Pod'")
    bounds: dict[str, Mapping[str, str]] = {part: item.get(part) or {} for part in _BOUNDS}
    if about == "PersistentVolumeClaim" and not {"storage"} & {*bounds["min"], *bounds["max"]}:
        why = "either minimum or maximum storage value is required, but neither was provided"
        yield required(field, why)
    for name in sorted({name for bound in bounds.values() for name in bound}):
        yield from _order(name, {part: bound[name] for part, bound in bounds.items() if name in bound}, field)


def _order(name: str, said: Mapping[str, str], field: str) -> Causes:
    """min <= defaultRequest <= default <= max, as far as each is said."""
    words = {"min": "min", "max": "max", "default": "default", "defaultRequest": "default request"}
    pairs = (
        ("min", "min", "max"), ("defaultRequest", "min", "defaultRequest"),
        ("defaultRequest", "defaultRequest", "max"), ("defaultRequest", "defaultRequest", "default"),
        ("default", "min", "default"), ("default", "default", "max"),
    )  # fmt: skip
    for blamed, low, high in pairs:
        if low in said and high in said and quantity.parse(said[low]) > quantity.parse(said[high]):
            why = f"{words[low]} value {said[low]} is greater than {words[high]} value {said[high]}"
            yield invalid(f"{field}.{blamed}[{name}]", said[blamed], why)
    ratio = said.get("maxLimitRequestRatio")
    if ratio is not None and quantity.parse(ratio) < 1:
        why = f"ratio {ratio} is less than 1"
        yield invalid(f"{field}.maxLimitRequestRatio[{name}]", ratio, why)
