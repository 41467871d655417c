"""HorizontalPodAutoscalers: so many replicas as the load asks for. Stored as v2, served as v1 too."""

from __future__ import annotations

from typing import Any

from mini8s.objects.kinds import AUTOSCALERS, AUTOSCALERS_V1, Obj
from mini8s.registry.columns import AGE, NAME, NONE, column, converted, spec, status
from mini8s.registry.rules import budgets
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status
from mini8s.registry.versions import autoscalers as as_v1

_MOST = 2  # metrics in a row


def _reference(found: Obj) -> str:
    target = spec(found).get("scaleTargetRef") or {}
    return f"{target.get('kind') or ''}/{target.get('name') or ''}"


def _targets(found: Obj) -> str:
    current = status(found).get("currentMetrics") or []
    shown = [
        _metric(metric, current[index] if index < len(current) else {})
        for index, metric in enumerate(spec(found).get("metrics") or ())
    ]
    more = f" + {len(shown) - _MOST} more..." if len(shown) > _MOST else ""
    return ", ".join(shown[:_MOST]) + more or NONE


def _metric(metric: Obj, current: Obj) -> str:
    """`cpu: 40%/80%`; the current value is unknown until somebody measured it."""
    part = {"ContainerResource": "containerResource"}.get(metric["type"], metric["type"].lower())
    source, now = metric.get(part) or {}, (current.get(part) or {}).get("current") or {}
    target = source.get("target") or {}
    average = target.get("averageValue")
    key = "averageUtilization" if "averageUtilization" in target else "averageValue" if average else "value"
    unit = (
        "%" if key == "averageUtilization" else " (avg)" if average and part in {"external", "object"} else ""
    )
    measured = f"{now[key]}{unit}" if key in now else "<unknown>"
    text = f"{measured}/{target.get(key, '<auto>')}{unit}"
    return f"{source.get('name')}: {text}" if source.get("name") else text


def _least(found: Obj) -> Any:
    return spec(found).get("minReplicas") or "<unset>"


STRATEGY = Strategy(
    kind=AUTOSCALERS,
    columns=(
        NAME,
        column("Reference", _reference),
        column("Targets", _targets),
        column("MinPods", _least),
        column("MaxPods", lambda obj: spec(obj).get("maxReplicas", 0), type="integer"),
        column("Replicas", lambda obj: status(obj).get("currentReplicas", 0), type="integer"),
        AGE,
    ),
    prepare_for_create=empty_status,
    validate=budgets.autoscaler,
    update=Update(keep_status),
    subresources=STATUS,
)
V1 = Strategy(kind=AUTOSCALERS_V1, columns=converted(STRATEGY.columns, as_v1.store))
