"""NodeAffinity: nodeSelector and the required and preferred terms of nodeAffinity."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects import node_terms
from mini8s.scheduler.base import NodeState, PodFacts

REASON = "node(s) didn't match Pod's node affinity/selector"


def node_affinity(pod: PodFacts, node: NodeState) -> Sequence[str]:
    if any(node.labels.get(key) != value for key, value in pod.node_selector.items()):
        return (REASON,)
    required = pod.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not node_terms.matches(required, node.labels, node.name):
        return (REASON,)
    return ()


def preferred_node_affinity(pod: PodFacts, nodes: Sequence[NodeState]) -> Sequence[float]:
    wishes = pod.node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    weighed = [(int(wish["weight"]), wish.get("preference") or {}) for wish in wishes]
    sums = [
        sum(weight for weight, term in weighed if node_terms.term_matches(term, node.labels, node.name))
        for node in nodes
    ]
    most = max(sums, default=0)
    return [100.0 * total / most if most else 0.0 for total in sums]
