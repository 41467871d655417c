"""What the metrics of a HorizontalPodAutoscaler say, one after the other: the replicas each asks for, its
status, or why it says nothing.

We serve resource metrics. Of the others there is no source here, which is said in the words that Kubernetes
has for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers.kinds.autoscaler.demand import (
    Demand,
    Load,
    NoFigure,
    Tolerance,
    demand,
    figures,
    requests,
)
from mini8s.objects import quantity
from mini8s.objects.kinds import Obj

_NO_CUSTOM = "no custom metrics API (custom.metrics.k8s.io) registered"
_NO_EXTERNAL = "no external metrics API (external.metrics.k8s.io) registered"


@dataclass(frozen=True, slots=True)
class Facts:
    """`measured` gives the PodMetrics of the target's pods, or raises ValueError that says why it can't."""

    pods: Sequence[Obj]
    measured: Callable[[], Sequence[Obj]]
    replicas: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Judged:
    """`status` is empty of a metric that failed."""

    replicas: int
    name: str
    status: Obj
    failure: NoFigure | None = None


def judge(metric: Obj, facts: Facts, tolerance: Tolerance, namespace: str) -> Judged:
    try:
        return _judge(metric, facts, tolerance, namespace)
    except NoFigure as failure:
        return Judged(0, "", {}, failure)


def _judge(metric: Obj, facts: Facts, tolerance: Tolerance, namespace: str) -> Judged:
    match metric.get("type"):
        case "Resource":
            return _resource(metric["resource"], facts, tolerance, "Resource")
        case "ContainerResource":
            return _resource(metric["containerResource"], facts, tolerance, "ContainerResource")
        case "Pods":
            why = _custom(metric["pods"]["metric"]["name"])
            raise NoFigure("FailedGetPodsMetric", why, wrapped=f"failed to get pods metric value: {why}")
        case "Object":
            about, name = metric["object"]["describedObject"], metric["object"]["metric"]["name"]
            why = f"{_custom(name)} on {about['kind']} {namespace}/{about['name']}"
            raise NoFigure("FailedGetObjectMetric", why, wrapped=f"failed to get object metric value: {why}")
        case "External":
            raise _external(metric["external"]["metric"], namespace)
    kind = json.dumps(metric.get("type"))
    raise NoFigure("InvalidMetricSourceType", f"unknown metric source type {kind}")


def _custom(name: str) -> str:
    return f"unable to get metric {name}: unable to fetch metrics from custom metrics API: {_NO_CUSTOM}"


def _external(metric: Obj, namespace: str) -> NoFigure:
    selector = json.dumps(metric["selector"]) if metric.get("selector") else "nil"
    what = f"{namespace}/{metric['name']}/{selector}"
    why = f"unable to fetch metrics from external metrics API: {_NO_EXTERNAL}"
    said = f"unable to get external metric {what}: {why}"
    return NoFigure(
        "FailedGetExternalMetric", said, wrapped=f"failed to get {metric['name']} external metric: {said}"
    )


def _resource(source: Obj, facts: Facts, tolerance: Tolerance, kind: str) -> Judged:
    """Of whole pods, or of one container in each."""
    resource, container, target = source["name"], source.get("container") or "", source["target"]
    by_value = target.get("averageValue") is not None
    reason = f"FailedGet{kind}Metric"
    word = "usage" if by_value else "utilization"
    try:
        found = _demand(source, facts, tolerance, container)
    except ValueError as error:
        why = f"failed to get {resource} {word}: {error}"
        which = f"{container} container" if container else f"{resource} resource"
        raise NoFigure(reason, why, wrapped=f"failed to get {which} metric value: {why}") from None
    current: Obj = {"averageValue": quantity.format_decimal_milli(found.average)}
    if found.utilization is not None:
        current["averageUtilization"] = found.utilization
    whose = "container resource" if container else "resource"
    name = f"{resource} {whose}" + ("" if by_value else " utilization (percentage of request)")
    part = "containerResource" if container else "resource"
    about = {"name": resource} | ({"container": container} if container else {})
    return Judged(found.replicas, name, {"type": kind, part: about | {"current": current}})


def _demand(source: Obj, facts: Facts, tolerance: Tolerance, container: str) -> Demand:
    resource, target = source["name"], source["target"]
    if target.get("averageValue") is None and target.get("averageUtilization") is None:
        what = "neither an average utilization target nor an average value (usage) target was set"
        raise ValueError(f"invalid resource metric source: {what}")
    try:
        known = figures(facts.measured(), resource, container, facts.now)
    except ValueError as error:
        raise ValueError(f"unable to get metrics for resource {resource}: {error}") from None
    by_value = target.get("averageValue") is not None
    asked = None if by_value else requests(facts.pods, resource, container)
    wanted = quantity.milli(target["averageValue"]) if by_value else int(target["averageUtilization"])
    return demand(Load(facts.pods, known, asked, resource, facts.replicas, facts.now), wanted, tolerance)
