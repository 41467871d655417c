"""How many replicas one metric asks for (`replica_calculator.go`; the page "Horizontal Pod Autoscaling" says
why each rule is there).

Pods of which nothing is known count against the direction in which one would go: as idle when it is up, as
busy when it is down. So do pods that are not ready yet, whose start would look like load.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mini8s.objects import conditions, meta, pods, quantity
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

_CPU_START = timedelta(minutes=5)  # --horizontal-pod-autoscaler-cpu-initialization-period
_FIRST_READY = timedelta(seconds=30)  # --horizontal-pod-autoscaler-initial-readiness-delay
_WINDOW = timedelta(seconds=30)  # of a figure that does not say
TOLERANCE = 0.1


class NoFigure(Exception):
    """A metric can't be judged. `reason` is the condition's."""

    def __init__(self, reason: str, message: str, *, wrapped: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.wrapped = wrapped or message  # as it is told together with the other metrics


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from the target is near enough, in each direction."""

    up: float = TOLERANCE
    down: float = TOLERANCE

    def holds(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Figure:
    """What one pod uses, in thousandths."""

    value: int
    when: datetime
    window: timedelta


@dataclass(frozen=True, slots=True)
class Load:
    """The pods of a target and what is known of them; `requests` (thousandths) only for utilisation."""

    pods: Sequence[Obj]
    figures: Mapping[str, Figure]
    requests: Mapping[str, int] | None
    resource: str
    replicas: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Demand:
    """`utilization` in percent of the requests, `average` in thousandths."""

    replicas: int
    average: int
    utilization: int | None = None


@dataclass(slots=True)
class _Groups:
    ready: int = 0
    unready: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def demand(load: Load, target: int, tolerance: Tolerance) -> Demand:
    """`target`: percent when the load has requests, else thousandths. Raises ValueError with upstream's
    words."""
    if not load.pods:
        raise ValueError("no pods returned by selector while calculating replica count")
    groups, values = _grouped(load)
    if not values:
        raise ValueError("did not receive metrics for targeted pods (pods might be unready)")
    ratio, average, utilization = _ratio(load, values, target)
    known = Demand(load.replicas, average, utilization)
    rebalance = bool(groups.unready) and ratio > 1.0
    if not rebalance and not groups.missing:
        if tolerance.holds(ratio):
            return known
        return Demand(math.ceil(_plain(ratio * groups.ready)), average, utilization)
    if ratio != 1.0:
        values |= {name: _assumed(load, name, target, busy=ratio < 1.0) for name in groups.missing}
    if rebalance:
        values |= dict.fromkeys(groups.unready, 0)
    again, _, _ = _ratio(load, values, target)
    if tolerance.holds(again) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return known
    wanted = math.ceil(_plain(again * len(values)))
    turned = (again < 1.0 and wanted > load.replicas) or (again > 1.0 and wanted < load.replicas)
    return known if turned else Demand(wanted, average, utilization)


def requests(found: Sequence[Obj], resource: str, container: str) -> dict[str, int]:
    """What each pod asked for, in thousandths. Raises ValueError for a container that did not say."""
    return {meta.name(pod): _requested(pod, resource, container) for pod in found}


def _requested(pod: Obj, resource: str, container: str) -> int:
    spec, total = pod["spec"], 0
    sidecars = [one for one in spec.get("initContainers") or () if pods.is_sidecar(one)]
    for one in [*spec["containers"], *sidecars]:
        if container in {"", one["name"]}:
            stated = ((one.get("resources") or {}).get("requests") or {}).get(resource)
            if stated is None:
                where = f"container {one['name']} of Pod {meta.name(pod)}"
                raise ValueError(f"missing request for {resource} in {where}")
            total += quantity.milli(stated)
    return total


def figures(measured: Sequence[Obj], resource: str, container: str, now: datetime) -> dict[str, Figure]:
    """By pod, of PodMetrics; a pod of which a container is missing has none. Raises ValueError."""
    if not measured:
        raise ValueError("no metrics returned from resource metrics API")
    found = {}
    for one in measured:
        used = [
            (item.get("usage") or {}).get(resource)
            for item in one.get("containers") or ()
            if container in {"", item["name"]}
        ]
        if used and all(value is not None for value in used):
            value = sum(quantity.milli(value) for value in used if value is not None)
            when = parse_time(one["timestamp"]) if one.get("timestamp") else now
            found[meta.name(one)] = Figure(value, when, _duration(one.get("window")))
    return found


def _grouped(load: Load) -> tuple[_Groups, dict[str, int]]:
    groups, values = _Groups(), {}
    for pod in load.pods:
        name, phase = meta.name(pod), pods.phase(pod)
        if meta.deleting(pod) or phase == "Failed":
            continue
        figure = load.figures.get(name)
        if phase == "Pending":
            groups.unready.append(name)
        elif figure is None:
            groups.missing.append(name)
        elif load.resource == "cpu" and _is_starting(pod, figure, load.now):
            groups.unready.append(name)
        else:
            groups.ready += 1
            values[name] = figure.value
    return groups, values


def _is_starting(pod: Obj, figure: Figure, now: datetime) -> bool:
    ready, started = conditions.get(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if ready is None or not started or not ready.get("lastTransitionTime"):
        return True
    begun, changed = parse_time(started), parse_time(ready["lastTransitionTime"])
    unready = ready.get("status") == "False"
    if begun + _CPU_START > now:
        return unready or figure.when < changed + figure.window
    return unready and begun + _FIRST_READY > changed


def _ratio(load: Load, values: Mapping[str, int], target: int) -> tuple[float, int, int | None]:
    total = sum(values.values())
    if load.requests is None:
        average = total // len(values)
        return average / target, average, None
    requested = sum(load.requests.get(name, 0) for name in values)
    if not requested:
        raise ValueError("no metrics returned matched known pods")
    utilization = total * 100 // requested
    return utilization / target, total // len(values), utilization


def _assumed(load: Load, name: str, target: int, *, busy: bool) -> int:
    if not busy:
        return 0
    if load.requests is None:
        return target
    return load.requests.get(name, 0) * max(100, target) // 100


def _plain(value: float) -> float:
    """Without the dust of binary fractions, which would round up to one replica more."""
    return round(value, 9)


def _duration(text: str | None) -> timedelta:
    if not text:
        return _WINDOW
    number, factor = (text[:-2], 0.001) if text.endswith("ms") else (text.rstrip("s"), 1.0)
    try:
        return timedelta(seconds=float(number) * factor)
    except ValueError:
        return _WINDOW
