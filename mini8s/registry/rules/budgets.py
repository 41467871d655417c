"""Rules of PodDisruptionBudgets and HorizontalPodAutoscalers."""

from __future__ import annotations

from typing import Any

from mini8s.objects import quantity
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, not_supported, required
from mini8s.registry.rules import selectors, values, workloads

_EVICTION = ("AlwaysAllow", "IfHealthyBudget")
_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_TARGETS = {"Utilization": "averageUtilization", "Value": "value", "AverageValue": "averageValue"}


def disruption_budget(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        yield invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for part, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            yield from workloads.share(value, f"spec.{part}", at_most_all=True)
    yield from selectors.label_selector(spec.get("selector") or {}, "spec.selector")
    yield from values.one_of(spec, "unhealthyPodEvictionPolicy", "spec", _EVICTION)


def autoscaler(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    yield from values.positive(spec, "minReplicas", "spec")
    if most < 1:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for part in ("kind", "name"):
        yield from values.said(target, part, "spec.scaleTargetRef")
    for index, metric in enumerate(spec.get("metrics") or ()):
        yield from _metric(metric, f"spec.metrics[{index}]")
    for way in ("scaleUp", "scaleDown"):
        yield from _scaling((spec.get("behavior") or {}).get(way) or {}, f"spec.behavior.{way}")


def _metric(metric: Obj, field: str) -> Causes:
    about = metric.get("type") or ""
    if not about:
        yield required(f"{field}.type", "must specify a metric source type")
        return
    if about not in _SOURCES:
        yield not_supported(f"{field}.type", about, _SOURCES)
        return
    wanted = _SOURCES[about]
    for part in _SOURCES.values():
        if part != wanted and metric.get(part) is not None:
            yield forbidden(f"{field}.{part}", "must populate the given metric source only")
    source = metric.get(wanted)
    if source is None:
        yield required(f"{field}.{wanted}", "must populate information for the given metric source")
        return
    yield from _source(source, wanted, f"{field}.{wanted}")


def _source(source: Obj, kind: str, field: str) -> Causes:
    if kind in {"resource", "containerResource"}:
        if not source.get("name"):
            yield required(f"{field}.name", "must specify a resource name")
        if kind == "containerResource" and not source.get("container"):
            yield required(f"{field}.container", "must specify a container")
    elif not (source.get("metric") or {}).get("name"):
        yield required(f"{field}.metric.name", "must specify a metric name")
    yield from _target(source.get("target") or {}, f"{field}.target")


def _target(target: Obj, field: str) -> Causes:
    about = target.get("type") or ""
    if not about:
        yield required(f"{field}.type", "must specify a metric target type")
    elif about not in _TARGETS:
        why = "must be either Utilization, Value, or AverageValue"
        yield invalid(f"{field}.type", about, why)
    elif target.get(_TARGETS[about]) is None:
        yield required(f"{field}.{_TARGETS[about]}", "must set either a target raw value or a target share")
    for part in _TARGETS.values():
        if target.get(part) is not None and not _positive(target[part]):
            why = "must be greater than 0" if part == "averageUtilization" else "must be positive"
            yield invalid(f"{field}.{part}", target[part], why)


def _positive(stated: Any) -> bool:
    return quantity.parse(stated) > 0


def _scaling(rules: Obj, field: str) -> Causes:
    window = rules.get("stabilizationWindowSeconds")
    yield from values.non_negative(rules, "stabilizationWindowSeconds", field)
    if window is not None and window > 3600:
        yield invalid(f"{field}.stabilizationWindowSeconds", window, "must be less than or equal to 3600")
    if rules.get("tolerance") is not None and quantity.parse(rules["tolerance"]) < 0:
        yield invalid(f"{field}.tolerance", rules["tolerance"], "must be greater than or equal to 0")
    yield from values.one_of(rules, "selectPolicy", field, ("Disabled", "Max", "Min"))
    if rules and not rules.get("policies"):
        yield required(f"{field}.policies", "must specify at least one Policy")
    for index, policy in enumerate(rules.get("policies") or ()):
        path = f"{field}.policies[{index}]"
        yield from values.one_of(policy, "type", path, ("Percent", "Pods"), must=True)
        for part, most in (("value", None), ("periodSeconds", 1800)):
            number = policy.get(part) or 0
            if number <= 0:
                yield invalid(f"{path}.{part}", number, "must be greater than zero")
            elif most is not None and number > most:
                yield invalid(f"{path}.{part}", number, f"must be less than or equal to {most}")
