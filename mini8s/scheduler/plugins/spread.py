"""Spread: replicas of one controller go to the nodes that have fewest of them.

It stands for the constraints that upstream gives pods without constraints of their own, and bears their name.
"""

from __future__ import annotations

from mini8s.scheduler.base import NodeState, PodFacts


def spread(pod: PodFacts, node: NodeState) -> float:
    if not pod.owner or pod.spread:
        return 0.0
    return -100.0 * node.owners.get(pod.owner, 0)
