"""HorizontalPodAutoscalers of autoscaling/v1: one number for the CPU; all else is in annotations."""

from __future__ import annotations

from typing import Any

from mini8s.objects import meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.wire.codec import decode_json, encode_json

_PREFIX = "autoscaling.alpha.kubernetes.io/"
_CARRIED: tuple[tuple[str, str, str, type], ...] = (  # annotation, where in v2 it belongs, what it is there
    ("metrics", "spec", "metrics", list),
    ("behavior", "spec", "behavior", dict),
    ("current-metrics", "status", "currentMetrics", list),
    ("conditions", "status", "conditions", list),
)


def show(found: Obj) -> Obj:
    """v2 -> v1."""
    parts = {part: dict(found.get(part) or {}) for part in ("spec", "status")}
    _cpu_out(parts["spec"], "metrics", "target", "targetCPUUtilizationPercentage")
    _cpu_out(parts["status"], "currentMetrics", "current", "currentCPUUtilizationPercentage")
    carried = {
        f"{_PREFIX}{word}": encode_json(value).decode()
        for word, part, field, _ in _CARRIED
        if (value := parts[part].pop(field, None))
    }
    return _with(found, meta.annotations(found) | carried, parts)


def store(found: Obj) -> Obj:
    """v1 -> v2. An annotation that does not parse is left where it is."""
    annotations = dict(meta.annotations(found))
    parts = {part: dict(found.get(part) or {}) for part in ("spec", "status")}
    for word, part, field, form in _CARRIED:
        value = _parsed(annotations.get(f"{_PREFIX}{word}") or "null")
        if isinstance(value, form):
            del annotations[f"{_PREFIX}{word}"]
            parts[part][field] = value
    _cpu_in(parts["spec"], "metrics", "target", "targetCPUUtilizationPercentage")
    _cpu_in(parts["status"], "currentMetrics", "current", "currentCPUUtilizationPercentage")
    return _with(found, annotations, parts)


def _cpu_out(part: Obj, field: str, side: str, name: str) -> None:
    """The first metric that is a share of the requested CPU becomes v1's own number."""
    metrics = list(part.get(field) or ())
    for metric in metrics:
        share = _cpu_share(metric, side)
        if share is not None:
            part[name] = share
            metrics.remove(metric)
            break
    part[field] = metrics


def _cpu_in(part: Obj, field: str, side: str, name: str) -> None:
    share = part.pop(name, None)
    if share is None:
        return
    value = {"averageUtilization": share} | ({"type": "Utilization"} if side == "target" else {})
    metric = {"type": "Resource", "resource": {"name": "cpu", side: value}}
    part[field] = [metric, *(part.get(field) or ())]


def _cpu_share(metric: Obj, side: str) -> Any:
    """A metric that says nothing else: what v1's number can't say stays with the others."""
    resource = metric.get("resource") or {}
    about = resource.get(side) or {}
    plain = set(about) <= {"type", "averageUtilization"} and resource.get("name") == "cpu"
    return about.get("averageUtilization") if metric.get("type") == "Resource" and plain else None


def _parsed(text: str) -> Any:
    try:
        return decode_json(text.encode())
    except BadRequest:
        return None


def _with(found: Obj, annotations: dict[str, str], parts: dict[str, Obj]) -> Obj:
    metadata = {key: value for key, value in found["metadata"].items() if key != "annotations"}
    if annotations:
        metadata["annotations"] = annotations
    return found | {"metadata": metadata} | {part: value for part, value in parts.items() if value}
