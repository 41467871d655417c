"""ConfigMaps: text and bytes by key."""

from __future__ import annotations

from mini8s.objects.kinds import CONFIGMAPS, Obj
from mini8s.registry.columns import AGE, NAME, column
from mini8s.registry.rules import configs
from mini8s.registry.strategy import Strategy, Update


def _count(found: Obj) -> int:
    return len(found.get("data") or ()) + len(found.get("binaryData") or ())


STRATEGY = Strategy(
    kind=CONFIGMAPS,
    columns=(NAME, column("Data", _count, type="integer"), AGE),
    validate=configs.config_map,
    update=Update(validate=configs.immutable),
)
