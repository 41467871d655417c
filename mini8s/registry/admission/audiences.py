"""For whom a pod's volumes need tokens: its own projections name audiences, and so do the drivers of its
volumes (KEP-4935, ServiceAccountNodeAudienceRestriction)."""

from __future__ import annotations

from collections.abc import Iterator

from mini8s.objects import meta
from mini8s.objects.kinds import CSIDRIVERS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, Kind, Obj
from mini8s.registry.admission.attempt import World


def needed(pod: Obj, world: World) -> Iterator[str]:
    """Audiences, "" for the API itself."""
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if (token := source.get("serviceAccountToken")) is not None:
                yield token.get("audience") or ""
        driver = world.find(CSIDRIVERS, "", name) if (name := _driver(pod, volume, world)) else None
        for request in ((driver or {}).get("spec") or {}).get("tokenRequests") or ():
            yield request.get("audience") or ""


def _driver(pod: Obj, volume: Obj, world: World) -> str:
    """Of a volume in the pod itself, or of the one that its claim is bound to."""
    if volume.get("csi"):
        return str(volume["csi"].get("driver") or "")
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName") or ""
    if volume.get("ephemeral") is not None:
        claim = f"{meta.name(pod)}-{volume['name']}"
    found = _spec(world, PERSISTENTVOLUMECLAIMS, meta.namespace(pod), claim)
    bound = _spec(world, PERSISTENTVOLUMES, "", found.get("volumeName") or "")
    return str((bound.get("csi") or {}).get("driver") or "")


def _spec(world: World, kind: Kind, namespace: str, name: str) -> Obj:
    found = world.find(kind, namespace, name) if name else None
    return (found or {}).get("spec") or {}
