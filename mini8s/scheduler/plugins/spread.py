"""Spread: replicas of one controller go to the nodes that have fewest of them."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.scheduler.base import NodeState, PodFacts


def spread(pod: PodFacts, nodes: Sequence[NodeState]) -> Sequence[float]:
    if not pod.owner:
        return [0.0] * len(nodes)
    counts = [node.owners.get(pod.owner, 0) for node in nodes]
    most = max(counts, default=0)
    return [100.0 * (most - count) / most if most else 100.0 for count in counts]
