"""PriorityClasses: who goes first when there is not enough for all."""

from __future__ import annotations

from mini8s.objects.kinds import PRIORITYCLASSES, Obj
from mini8s.registry.columns import AGE, NAME, column
from mini8s.registry.rules import classes
from mini8s.registry.strategy import Strategy, Update


def _preemption(found: Obj) -> str:
    return found.get("preemptionPolicy") or ""


STRATEGY = Strategy(
    kind=PRIORITYCLASSES,
    columns=(
        NAME,
        column("Value", lambda obj: obj.get("value", 0), type="integer"),
        column("Global-Default", lambda obj: bool(obj.get("globalDefault")), type="boolean"),
        AGE,
        column("PreemptionPolicy", _preemption),
    ),
    validate=classes.priority_class,
    update=Update(validate=classes.priority_class_update),
    create_on_update=True,
    generation=lambda obj: obj.get("value"),
)
