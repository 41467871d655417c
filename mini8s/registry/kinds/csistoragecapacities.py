"""CSIStorageCapacities: how much storage of a class there is where."""

from __future__ import annotations

from mini8s.objects.kinds import CSISTORAGECAPACITIES
from mini8s.registry.columns import NAME, column
from mini8s.registry.rules import classes
from mini8s.registry.strategy import Strategy, Update

STRATEGY = Strategy(
    kind=CSISTORAGECAPACITIES,
    columns=(
        NAME,
        column("StorageClassName", lambda obj: obj.get("storageClassName") or ""),
        column("Capacity", lambda obj: obj.get("capacity") or ""),
    ),
    validate=classes.capacity,
    update=Update(validate=classes.same_capacity_place),
)
