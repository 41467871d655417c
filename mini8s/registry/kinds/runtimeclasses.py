"""RuntimeClasses: by what a pod's containers are run."""

from __future__ import annotations

from mini8s.objects.kinds import RUNTIMECLASSES
from mini8s.registry.columns import AGE, NAME, column
from mini8s.registry.rules import classes
from mini8s.registry.strategy import Strategy, Update

STRATEGY = Strategy(
    kind=RUNTIMECLASSES,
    columns=(NAME, column("Handler", lambda obj: obj.get("handler") or ""), AGE),
    validate=classes.runtime_class,
    update=Update(validate=classes.same_handler),
    unconditional_update=False,
)
