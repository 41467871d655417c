"""What a DaemonSet says of itself (`daemon_controller.go: updateDaemonSetStatus`)."""

from __future__ import annotations

from collections import Counter

from mini8s.controllers.kinds.daemonset.view import View
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj

_ALWAYS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
_IF_ANY = ("updatedNumberScheduled", "numberAvailable", "numberUnavailable")


def counted(view: View) -> Obj:
    count: Counter[str] = Counter()
    for node, fit in view.fits.items():
        there = view.pods.get(node)
        if not fit.starts:
            count["numberMisscheduled"] += bool(there)
            continue
        count["desiredNumberScheduled"] += 1
        if not there:
            continue
        oldest = min(there, key=lambda pod: (pod["metadata"].get("creationTimestamp") or "", meta.name(pod)))
        count["currentNumberScheduled"] += 1
        count["numberReady"] += pods.is_ready(oldest)
        count["numberAvailable"] += view.available(oldest)
        count["updatedNumberScheduled"] += view.is_new(oldest)
    count["numberUnavailable"] = count["desiredNumberScheduled"] - count["numberAvailable"]
    collisions = (view.obj.get("status") or {}).get("collisionCount")
    return {
        **{field: count[field] for field in _ALWAYS},
        "observedGeneration": meta.generation(view.obj),
        **{field: count[field] for field in _IF_ANY if count[field]},
        **({"collisionCount": collisions} if collisions else {}),
    }
