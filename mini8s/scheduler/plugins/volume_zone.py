"""VolumeZone: a bound volume that says by labels where it is ties its pod to nodes that are there."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects import meta
from mini8s.scheduler.base import NodeState, PodFacts

REASON = "node(s) had no available volume zone"
KEYS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)


def volume_zone(pod: PodFacts, node: NodeState) -> Sequence[str]:
    """A node that says nothing of where it is has any volume. `__` is between alternatives."""
    if not pod.claims or not any(key in node.labels for key in KEYS):
        return ()
    for one in pod.claims:
        labels = meta.labels(one.volume) if one.volume else {}
        for key in KEYS:
            if key in labels and node.labels.get(key) not in labels[key].split("__"):
                return (REASON,)
    return ()
