"""CSINodes: the storage drivers that a node has."""

from __future__ import annotations

from mini8s.objects.kinds import CSINODES
from mini8s.registry.columns import AGE, NAME, column, spec
from mini8s.registry.rules import classes
from mini8s.registry.strategy import Strategy

STRATEGY = Strategy(
    kind=CSINODES,
    columns=(NAME, column("Drivers", lambda obj: len(spec(obj).get("drivers") or ()), type="integer"), AGE),
    validate=classes.csi_node,
)
