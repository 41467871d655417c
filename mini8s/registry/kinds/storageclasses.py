"""StorageClasses: sorts of storage that claims can ask for."""

from __future__ import annotations

from mini8s.objects import claims, meta
from mini8s.objects.kinds import STORAGECLASSES, Obj
from mini8s.registry.base import Column
from mini8s.registry.columns import AGE, NAME, column
from mini8s.registry.rules import classes
from mini8s.registry.strategy import Strategy, Update


def _name(found: Obj) -> str:
    return f"{meta.name(found)} (default)" if claims.is_default_class(found) else meta.name(found)


STRATEGY = Strategy(
    kind=STORAGECLASSES,
    columns=(
        Column(NAME.name, lambda obj, _: _name(obj), format="name"),
        column("Provisioner", lambda obj: obj.get("provisioner") or ""),
        column("ReclaimPolicy", lambda obj: obj.get("reclaimPolicy") or "Delete"),
        column("VolumeBindingMode", lambda obj: obj.get("volumeBindingMode") or "Immediate"),
        column("AllowVolumeExpansion", lambda obj: bool(obj.get("allowVolumeExpansion")), type="boolean"),
        AGE,
    ),
    validate=classes.storage_class,
    update=Update(validate=classes.storage_class_update),
)
