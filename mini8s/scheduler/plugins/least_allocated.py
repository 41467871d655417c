"""LeastAllocated: the node with the larger share of cpu and memory left over is better.

A pod without requests counts as kube-scheduler counts it (100 millicores, 200 MB), so that such pods spread
too.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.scheduler.base import NodeState, PodFacts

DEFAULT_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024


def least_allocated(pod: PodFacts, nodes: Sequence[NodeState]) -> Sequence[float]:
    cpu, memory = pod.requests.cpu or DEFAULT_CPU, pod.requests.memory or DEFAULT_MEMORY
    return [
        (
            _left(node.requested.cpu + cpu, node.allocatable.cpu)
            + _left(node.requested.memory + memory, node.allocatable.memory)
            + _left(node.requested.pods + 1, node.allocatable.pods)
        )
        / 3
        for node in nodes
    ]


def _left(used: int, total: int) -> float:
    return max(0.0, 100.0 * (total - used) / total) if total else 0.0
