"""IngressClasses: who carries out which Ingresses."""

from __future__ import annotations

from mini8s.objects.kinds import INGRESSCLASSES, Obj
from mini8s.registry.columns import AGE, NAME, NONE, column, spec
from mini8s.registry.rules import ingresses
from mini8s.registry.strategy import Strategy, Update
from mini8s.registry.strategy import spec as spec_of


def _parameters(found: Obj) -> str:
    said = spec(found).get("parameters")
    if not said:
        return NONE
    group = f".{said['apiGroup']}" if said.get("apiGroup") else ""
    return f"{said.get('kind') or ''}{group}/{said.get('name') or ''}"


STRATEGY = Strategy(
    kind=INGRESSCLASSES,
    columns=(
        NAME,
        column("Controller", lambda obj: spec(obj).get("controller") or ""),
        column("Parameters", _parameters),
        AGE,
    ),
    validate=ingresses.ingress_class,
    update=Update(validate=ingresses.same_controller),
    generation=spec_of,
)
