"""PodTopologySpread: the pods that a constraint selects are about equally many in every domain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from mini8s.objects.taints import NO_EXECUTE, NO_SCHEDULE, first_untolerated
from mini8s.scheduler.base import NodeState, Picture, PodFacts, View
from mini8s.scheduler.plugins.node_affinity import node_affinity
from mini8s.scheduler.terms import Constraint

UNEVEN = "node(s) didn't match pod topology spread constraints"
UNLABELLED = f"{UNEVEN} (missing required label)"


def topology_spread(pod: PodFacts, picture: Picture) -> View | None:
    return _Spread(pod, picture) if pod.spread else None


class _Domains:
    """How many of the pods that one constraint selects are in each domain of the nodes that count for it:
    they have the keys of all constraints beside it and, as far as it asks so, would take the pod."""

    def __init__(
        self, item: Constraint, beside: Sequence[Constraint], pod: PodFacts, picture: Picture
    ) -> None:
        self.item = item
        self._pod = pod
        self._nodes = {
            node.name
            for node in picture.nodes.values()
            if all(other.key in node.labels for other in beside) and _counts(item, pod, node)
        }
        self._in = dict.fromkeys((picture.nodes[name].labels[item.key] for name in self._nodes), 0)
        self._with = Counter(self._in.values())  # how many domains have so many
        for name in self._nodes:
            for other in picture.on(name):
                self.moved(other, picture.nodes[name].labels, name, 1)
        self.weight = math.log(len(self._in) + 2)

    def moved(self, pod: PodFacts, labels: Mapping[str, str], node: str, sign: int) -> bool:
        """Whether the least grew."""
        if node not in self._nodes or not self._selects(pod):
            return False
        least, value = self.least(), labels[self.item.key]
        before = self._in[value]
        self._in[value] = before + sign
        self._with[before] -= 1
        if not self._with[before]:
            del self._with[before]
        self._with[before + sign] += 1
        return self.least() > least

    def count(self, value: str) -> int:
        return self._in.get(value, 0)

    def least(self) -> int:
        return 0 if len(self._in) < self.item.min_domains else min(self._with, default=0)

    def grown(self, value: str) -> int:
        """The skew that the pod would bring about."""
        return self.count(value) + self.item.selector.matches(self._pod.labels) - self.least()

    def _selects(self, other: PodFacts) -> bool:
        """An empty selector counts nothing, as upstream's countPodsMatchSelector has it."""
        selector = self.item.selector
        alike = other.namespace == self._pod.namespace and not other.deleting
        return alike and not selector.empty and selector.matches(other.labels)


class _Spread:
    def __init__(self, pod: PodFacts, picture: Picture) -> None:
        hard = [item for item in pod.spread if item.hard]
        soft = [item for item in pod.spread if not item.hard]
        self.keys = tuple(dict.fromkeys(item.key for item in pod.spread))
        self.loosened = 0
        self._hard = [_Domains(item, hard, pod, picture) for item in hard]
        self._soft = [_Domains(item, soft, pod, picture) for item in soft]

    def why_not(self, key: str, value: str | None) -> Sequence[str]:
        for domains in self._hard:
            if domains.item.key != key:
                continue
            if value is None:
                return (UNLABELLED,)
            if domains.grown(value) > domains.item.max_skew:
                return (UNEVEN,)
        return ()

    def points(self, key: str, value: str | None) -> float:
        """Rarer pods are better; a domain weighs more where there are more of them."""
        soft = [domains for domains in self._soft if domains.item.key == key]
        if not soft:
            return 0.0
        if value is None:
            return -1e6  # behind all who have the label
        return -sum(20.0 * one.weight * one.count(value) / one.item.max_skew for one in soft)

    def moved(self, pod: PodFacts, labels: Mapping[str, str], node: str, sign: int, /) -> bool:
        for domains in self._hard:
            self.loosened += domains.moved(pod, labels, node, sign)
        for domains in self._soft:
            domains.moved(pod, labels, node, sign)
        return True


def _counts(item: Constraint, pod: PodFacts, node: NodeState) -> bool:
    if item.honors_affinity and node_affinity(pod, node):
        return False
    effects = (NO_SCHEDULE, NO_EXECUTE)
    return not item.honors_taints or not first_untolerated(node.taints, pod.tolerations, effects)
