"""StorageObjectInUseProtection and PersistentVolumeClaimResize: storage goes when nobody uses it any more,
and grows when its class lets it."""

from __future__ import annotations

from mini8s.objects import claims, meta
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt

_PROTECTION = {
    PERSISTENTVOLUMECLAIMS: claims.CLAIM_PROTECTION,
    PERSISTENTVOLUMES: claims.VOLUME_PROTECTION,
}


def storage_protection(attempt: Attempt) -> None:
    if not attempt.creates(PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES):
        return
    finalizer, finalizers = _PROTECTION[attempt.kind], meta.finalizers(attempt.obj)
    if finalizer not in finalizers:
        attempt.obj["metadata"]["finalizers"] = [*finalizers, finalizer]


def claim_resize(attempt: Attempt) -> None:
    if attempt.kind is not PERSISTENTVOLUMECLAIMS or attempt.operation != "UPDATE" or attempt.subresource:
        return
    old = attempt.world.find(PERSISTENTVOLUMECLAIMS, attempt.namespace, attempt.name)
    if old is None or claims.requested(attempt.obj) <= claims.requested(old):
        return
    if (old.get("status") or {}).get("phase") != "Bound":
        return  # the rules say it better
    found = attempt.world.find(STORAGECLASSES, "", claims.class_name(old))
    if not (found or {}).get("allowVolumeExpansion"):
        why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
        raise refusals.forbidden(PERSISTENTVOLUMECLAIMS, attempt.name, why + "must support resize")
