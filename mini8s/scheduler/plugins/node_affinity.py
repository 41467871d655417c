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


def preferred_node_affinity(pod: PodFacts, node: NodeState) -> float:
    """The part of all wishes, by weight, that this node meets."""
    wishes = pod.node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    total = met = 0
    for wish in wishes:
        weight = int(wish["weight"])
        total += weight
        if node_terms.term_matches(wish.get("preference") or {}, node.labels, node.name):
            met += weight
    return 100.0 * met / total if total else 0.0


def named_nodes(pod: PodFacts) -> frozenset[str] | None:
    """The nodes that the pod names in every required term, as those of a DaemonSet do; None for any."""
    required = pod.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    names: set[str] = set()
    for term in required.get("nodeSelectorTerms") or ():
        fields = [one for one in term.get("matchFields") or () if one.get("operator") == "In"]
        if not fields:
            return None
        names.update(fields[0].get("values") or ())
    return frozenset(names) if names else None
