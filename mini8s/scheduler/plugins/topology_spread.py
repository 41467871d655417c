"""PodTopologySpread: the pods that a constraint selects are about equally many in every domain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mini8s.objects.labels import Selector
from mini8s.objects.taints import NO_EXECUTE, NO_SCHEDULE, first_untolerated
from mini8s.scheduler.base import NodeState, Picture, PodFacts, View
from mini8s.scheduler.plugins.node_affinity import node_affinity
from mini8s.scheduler.terms import Constraint

UNEVEN = "node(s) didn't match pod topology spread constraints"
UNLABELLED = f"{UNEVEN} (missing required label)"
HOST = "kubernetes.io/hostname"


def topology_spread(pod: PodFacts, nodes: Sequence[NodeState], picture: Picture) -> View | None:
    if not pod.spread:
        return None
    hard = [item for item in pod.spread if item.hard]
    soft = [item for item in pod.spread if not item.hard]
    return _Spread(pod, nodes, picture, hard, soft)


class _Spread:
    def __init__(
        self,
        pod: PodFacts,
        nodes: Sequence[NodeState],
        picture: Picture,
        hard: Sequence[Constraint],
        soft: Sequence[Constraint],
    ) -> None:
        self._pod, self._nodes, self._picture, self._soft = pod, nodes, picture, soft
        self._hard = [(item, self._domains(item, hard)) for item in hard]

    def why_not(self, node: NodeState) -> Sequence[str]:
        for item, counts in self._hard:
            if item.key not in node.labels:
                return (UNLABELLED,)
            least = 0 if len(counts) < item.min_domains else min(counts.values(), default=0)
            grown = counts[node.labels[item.key]] + item.selector.matches(self._pod.labels)
            if grown - least > item.max_skew:
                return (UNEVEN,)
        return ()

    def score(self, nodes: Sequence[NodeState]) -> Sequence[float]:
        """As upstream: rarer pods are better; a domain weighs more where there are more of them."""
        if not self._soft:
            return [0.0] * len(nodes)
        able = [node for node in nodes if _has_keys(node, self._soft)]
        sums = dict.fromkeys((node.name for node in able), 0.0)
        for item in self._soft:
            counts = self._domains(item, self._soft)
            size = len({node.labels[item.key] for node in able})
            weight = math.log((len(able) if item.key == HOST else size) + 2)
            for node in able:
                sums[node.name] += counts[node.labels[item.key]] * weight + item.max_skew - 1
        least, most = min(sums.values(), default=0.0), max(sums.values(), default=0.0)
        return [
            0.0
            if node.name not in sums
            else 100.0 * (most + least - sums[node.name]) / most
            if most
            else 100.0
            for node in nodes
        ]

    def _domains(self, item: Constraint, beside: Sequence[Constraint]) -> Counter[str]:
        """How many pods are in each domain of those nodes that count: they have the keys of all constraints
        and, as far as it asks so, would take the pod."""
        counts: Counter[str] = Counter()
        for node in self._nodes:
            if _has_keys(node, beside) and self._counts(item, node):
                counts[node.labels[item.key]] += self._selected(item.selector, node)
        return counts

    def _counts(self, item: Constraint, node: NodeState) -> bool:
        if item.honors_affinity and node_affinity(self._pod, node):
            return False
        effects = (NO_SCHEDULE, NO_EXECUTE)
        return not item.honors_taints or not first_untolerated(node.taints, self._pod.tolerations, effects)

    def _selected(self, selector: Selector, node: NodeState) -> int:
        if selector.empty:  # upstream's countPodsMatchSelector counts nothing then
            return 0
        return sum(
            other.namespace == self._pod.namespace and not other.deleting and selector.matches(other.labels)
            for other in self._picture.on(node.name)
        )


def _has_keys(node: NodeState, constraints: Sequence[Constraint]) -> bool:
    return all(item.key in node.labels for item in constraints)
