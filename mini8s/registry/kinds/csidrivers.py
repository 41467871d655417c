"""CSIDrivers: how a storage driver wants to be used."""

from __future__ import annotations

from mini8s.objects.kinds import CSIDRIVERS, Obj
from mini8s.registry.base import Column
from mini8s.registry.columns import AGE, NAME, column, joined, spec
from mini8s.registry.rules import classes
from mini8s.registry.strategy import Strategy, Update
from mini8s.registry.strategy import spec as spec_of


def _flag(title: str, part: str, *, otherwise: bool = False) -> Column:
    return column(title, lambda obj: spec(obj).get(part, otherwise), type="boolean")


def _audiences(found: Obj) -> str:
    return (
        ",".join(item.get("audience") or "" for item in spec(found).get("tokenRequests") or ()) or "<unset>"
    )


STRATEGY = Strategy(
    kind=CSIDRIVERS,
    columns=(
        NAME,
        _flag("AttachRequired", "attachRequired", otherwise=True),
        _flag("PodInfoOnMount", "podInfoOnMount"),
        _flag("StorageCapacity", "storageCapacity"),
        column("TokenRequests", _audiences),
        _flag("RequiresRepublish", "requiresRepublish"),
        column("Modes", lambda obj: joined(spec(obj).get("volumeLifecycleModes") or ())),
        AGE,
    ),
    validate=classes.driver,
    update=Update(validate=classes.driver_update),
    generation=spec_of,
)
