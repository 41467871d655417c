"""ImageLocality: a node that has the pod's images already need not fetch them.

Upstream's thresholds: 23 MB count nothing, 1,000 MB per container count all.
"""

from __future__ import annotations

from mini8s.scheduler.base import NodeState, PodFacts

LEAST, MOST = 23_000_000, 1_000_000_000


def image_locality(pod: PodFacts, node: NodeState) -> float:
    if not node.images or not pod.images:
        return 0.0
    there = sum(node.images.get(image, 0) for image in pod.images)
    most = MOST * len(pod.images)
    return 100.0 * (min(max(there, LEAST), most) - LEAST) / (most - LEAST)
