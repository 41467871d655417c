"""PersistentVolumes: storage that outlives pods."""

from __future__ import annotations

from mini8s.objects import meta
from mini8s.objects.kinds import PERSISTENTVOLUMES, Obj
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import claims
from mini8s.registry.strategy import STATUS, Strategy, Update, keep_status


def _begin(new: Obj) -> None:
    new["status"] = {"phase": "Pending"}


def _claim(found: Obj) -> str:
    claim = spec(found).get("claimRef")
    return f"{claim.get('namespace') or ''}/{claim.get('name') or ''}" if claim else ""


STRATEGY = Strategy(
    kind=PERSISTENTVOLUMES,
    columns=(
        NAME,
        column("Capacity", lambda obj: (spec(obj).get("capacity") or {}).get("storage") or ""),
        column("Access Modes", lambda obj: columns.access_modes(spec(obj))),
        column("Reclaim Policy", lambda obj: spec(obj).get("persistentVolumeReclaimPolicy") or ""),
        column("Status", lambda obj: "Terminating" if meta.deleting(obj) else status(obj).get("phase") or ""),
        column("Claim", _claim),
        column("StorageClass", lambda obj: spec(obj).get("storageClassName") or ""),
        column("VolumeAttributesClass", lambda obj: spec(obj).get("volumeAttributesClassName") or "<unset>"),
        column("Reason", lambda obj: status(obj).get("reason") or ""),
        AGE,
        column("VolumeMode", lambda obj: spec(obj).get("volumeMode") or "<unset>", wide=True),
    ),
    prepare_for_create=_begin,
    validate=claims.volume,
    update=Update(keep_status, claims.volume_update),
    subresources=STATUS,
)
