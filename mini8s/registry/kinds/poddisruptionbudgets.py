"""PodDisruptionBudgets: how many pods of an application may be away at a time by somebody's wish."""

from __future__ import annotations

from typing import Any

from mini8s.objects.kinds import DISRUPTIONBUDGETS, Obj
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import budgets
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status
from mini8s.registry.strategy import spec as spec_of


def _stated(found: Obj, part: str) -> Any:
    value = spec(found).get(part)
    return "N/A" if value is None else str(value)


STRATEGY = Strategy(
    kind=DISRUPTIONBUDGETS,
    columns=(
        NAME,
        column("Min Available", lambda obj: _stated(obj, "minAvailable")),
        column("Max Unavailable", lambda obj: _stated(obj, "maxUnavailable")),
        column("Allowed Disruptions", lambda obj: status(obj).get("disruptionsAllowed", 0), type="integer"),
        AGE,
    ),
    prepare_for_create=empty_status,
    validate=budgets.disruption_budget,
    update=Update(keep_status),
    subresources=STATUS,
    generation=spec_of,
    unconditional_update=False,
)
