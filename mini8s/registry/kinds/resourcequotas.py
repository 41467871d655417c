"""ResourceQuotas: how much a namespace may hold."""

from __future__ import annotations

from mini8s.objects.kinds import RESOURCEQUOTAS, Obj
from mini8s.registry.columns import AGE, NAME, column, status
from mini8s.registry.rules import quotas
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status


def _used(found: Obj, *, limits: bool) -> str:
    used, hard = (status(found).get(part) or {} for part in ("used", "hard"))
    return ", ".join(
        f"{name}: {used.get(name, '0')}/{most}"
        for name, most in sorted(hard.items())
        if name.startswith("limits.") == limits
    )


STRATEGY = Strategy(
    kind=RESOURCEQUOTAS,
    columns=(
        NAME,
        column("Request", lambda obj: _used(obj, limits=False)),
        column("Limit", lambda obj: _used(obj, limits=True)),
        AGE,
    ),
    prepare_for_create=empty_status,
    validate=quotas.quota,
    update=Update(keep_status, quotas.same_scopes),
    subresources=STATUS,
)
