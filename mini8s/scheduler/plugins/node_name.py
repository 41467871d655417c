"""NodeName: a pod that names its node runs nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.scheduler.base import NodeState, PodFacts


def node_name(pod: PodFacts, node: NodeState) -> Sequence[str]:
    if pod.node_name and pod.node_name != node.name:
        return ("node(s) didn't match the requested node name",)
    return ()
