"""PersistentVolumeClaims: a pod's wish for storage that outlives it."""

from __future__ import annotations

from mini8s.objects import meta
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, Obj
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import claims
from mini8s.registry.strategy import STATUS, Strategy, Update, keep_status

_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"


def _begin(new: Obj) -> None:
    new["status"] = {"phase": "Pending"}


def _capacity(found: Obj) -> str:
    return (status(found).get("capacity") or {}).get("storage") or "" if spec(found).get("volumeName") else ""


def _modes(found: Obj) -> str:
    return columns.access_modes(status(found)) if spec(found).get("volumeName") else ""


def _class(found: Obj) -> str:
    return meta.annotations(found).get(_OLD_CLASS) or spec(found).get("storageClassName") or ""


STRATEGY = Strategy(
    kind=PERSISTENTVOLUMECLAIMS,
    columns=(
        NAME,
        column("Status", lambda obj: "Terminating" if meta.deleting(obj) else status(obj).get("phase") or ""),
        column("Volume", lambda obj: spec(obj).get("volumeName") or ""),
        column("Capacity", _capacity),
        column("Access Modes", _modes),
        column("StorageClass", _class),
        column("VolumeAttributesClass", lambda obj: spec(obj).get("volumeAttributesClassName") or "<unset>"),
        AGE,
        column("VolumeMode", lambda obj: spec(obj).get("volumeMode") or "<unset>", wide=True),
    ),
    prepare_for_create=_begin,
    validate=claims.claim,
    update=Update(keep_status, claims.claim_update),
    subresources=STATUS,
)
