"""VolumeBinding: a pod goes where its volumes are, or where they can be made."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects import meta, node_terms
from mini8s.scheduler.base import NodeState, PodFacts
from mini8s.scheduler.volumes import candidate

AFFINITY = "node(s) didn't match PersistentVolume's node affinity"
NONE_TO_BIND = "node(s) didn't find available persistent volumes to bind"
SHARED = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
LOST = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


def volume_binding(pod: PodFacts, node: NodeState) -> Sequence[str]:
    taken: list[str] = []
    for one in pod.claims:
        if one.volume is not None:
            required = (one.volume["spec"].get("nodeAffinity") or {}).get("required")
            if required is not None and not node_terms.matches(required, node.labels, node.name):
                return (AFFINITY,)
        elif one.lost:
            return (LOST,)
        elif match := candidate(one, node, taken):
            taken.append(meta.name(match))
        elif one.made_on is None or not one.made_on(node.labels, node.name):
            return (NONE_TO_BIND,)
    return ()


def volume_restrictions(pod: PodFacts, node: NodeState) -> Sequence[str]:
    """A claim of access mode ReadWriteOncePod is one pod's at a time."""
    alone = [
        one.claim for one in pod.claims if "ReadWriteOncePod" in one.claim["spec"].get("accessModes", ())
    ]
    return (SHARED,) if any(meta.key(claim) in node.claims for claim in alone) else ()
