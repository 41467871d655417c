"""What a StatefulSet says of itself (`stateful_set_control.go: updateStatus`, `completeRollingUpdate`)."""

from __future__ import annotations

from mini8s.controllers.kinds.statefulset.view import View, is_ready, revision_name
from mini8s.objects import meta
from mini8s.objects.kinds import Obj


def counted(view: View) -> Obj:
    found = list(view.pods.values())
    staying = [revision_name(pod) for pod in found if not meta.deleting(pod)]
    counts = {
        "readyReplicas": sum(map(is_ready, found)),
        "currentReplicas": staying.count(meta.name(view.current)),
        "updatedReplicas": staying.count(meta.name(view.update)),
    }
    current = view.current
    if _complete(view, counts):
        current, counts["currentReplicas"] = view.update, counts["updatedReplicas"]
    return {
        "observedGeneration": meta.generation(view.obj),
        "replicas": len(found),
        "availableReplicas": sum(map(view.available, found)),
        **{field: count for field, count in counts.items() if count},
        "currentRevision": meta.name(current),
        "updateRevision": meta.name(view.update),
        "collisionCount": (view.obj.get("status") or {}).get("collisionCount") or 0,
    }


def _complete(view: View, counts: dict[str, int]) -> bool:
    """Every pod is of the new revision and ready, and none is beyond: what was new is current now."""
    wanted = len(view.numbers)
    updated, ready = counts["updatedReplicas"], counts["readyReplicas"]
    return not view.by_hand and updated == ready == len(view.pods) == wanted
