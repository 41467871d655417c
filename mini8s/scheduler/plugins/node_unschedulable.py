"""NodeUnschedulable: a cordoned node takes only pods that tolerate being there all the same."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects.taints import NO_SCHEDULE, tolerates
from mini8s.scheduler.base import NodeState, PodFacts

TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": NO_SCHEDULE}


def node_unschedulable(pod: PodFacts, node: NodeState) -> Sequence[str]:
    if node.unschedulable and not tolerates(pod.tolerations, TAINT):
        return ("node(s) were unschedulable",)
    return ()
