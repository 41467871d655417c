"""InterPodAffinity: with whom a pod will share a domain and with whom not, and who is there that minds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mini8s.scheduler.base import NodeState, Picture, PodFacts, View
from mini8s.scheduler.terms import PodTerm

LONELY = "node(s) didn't match pod affinity rules"
REPELLED = "node(s) didn't match pod anti-affinity rules"
UNWANTED = "node(s) didn't satisfy existing pods anti-affinity rules"
HARD_WEIGHT = 1  # kube-scheduler's hardPodAffinityWeight: what others require counts as a weak wish, too

Domain = tuple[str, str]  # topology key, value


def pod_affinity(pod: PodFacts, nodes: Sequence[NodeState], picture: Picture) -> View | None:
    return _Affinity(pod, nodes, picture) if pod.affine or picture.affine else None


class _Affinity:
    def __init__(self, pod: PodFacts, nodes: Sequence[NodeState], picture: Picture) -> None:
        self._pod, self._picture = pod, picture
        self._company: Counter[Domain] = Counter()  # domains with pods that match all that it requires
        self._shunned: set[Domain] = set()  # domains with pods that it does not want to be with
        self._guarded: set[Domain] = set()  # domains with pods that do not want to be with it
        self._liking: Counter[Domain] = Counter()
        for node in nodes:
            if pod.affine:
                for other in picture.on(node.name):
                    self._look(node, other)
            for other in picture.affine_on(node.name):
                self._looked_at(node, other)

    def why_not(self, node: NodeState) -> Sequence[str]:
        if not self._in_company(node):
            return (LONELY,)
        here = node.labels.items()
        if any(
            (term.key, node.labels.get(term.key)) in self._shunned for term in self._pod.repelled.required
        ):
            return (REPELLED,)
        return (UNWANTED,) if self._guarded and not self._guarded.isdisjoint(here) else ()

    def score(self, nodes: Sequence[NodeState]) -> Sequence[float]:
        sums = [sum(self._liking[domain] for domain in node.labels.items()) for node in nodes]
        least, most = min(sums, default=0), max(sums, default=0)
        return [100.0 * (total - least) / (most - least) if most > least else 0.0 for total in sums]

    def _in_company(self, node: NodeState) -> bool:
        """The first of a group that wants to be together is let in wherever there is a domain."""
        terms = self._pod.attracted.required
        if any(term.key not in node.labels for term in terms):
            return False
        if all(self._company[term.key, node.labels[term.key]] for term in terms):
            return True
        return not self._company and all(self._hits(term, self._pod) for term in terms)

    def _look(self, node: NodeState, other: PodFacts) -> None:
        attracted, repelled = self._pod.attracted, self._pod.repelled
        if attracted.required and all(self._hits(term, other) for term in attracted.required):
            self._company.update(_domains(node, attracted.required))
        self._shunned.update(_domains(node, self._hitting(repelled.required, other)))
        self._like(node, self._hitting(attracted.preferred, other), 1)
        self._like(node, self._hitting(repelled.preferred, other), -1)

    def _looked_at(self, node: NodeState, other: PodFacts) -> None:
        self._guarded.update(_domains(node, self._hitting(other.repelled.required, self._pod)))
        for domain in _domains(node, self._hitting(other.attracted.required, self._pod)):
            self._liking[domain] += HARD_WEIGHT
        self._like(node, self._hitting(other.attracted.preferred, self._pod), 1)
        self._like(node, self._hitting(other.repelled.preferred, self._pod), -1)

    def _like(self, node: NodeState, terms: Iterable[PodTerm], sign: int) -> None:
        for term in terms:
            for domain in _domains(node, (term,)):
                self._liking[domain] += sign * term.weight

    def _hitting(self, terms: Sequence[PodTerm], pod: PodFacts) -> Iterable[PodTerm]:
        return [term for term in terms if self._hits(term, pod)]

    def _hits(self, term: PodTerm, pod: PodFacts) -> bool:
        return term.matches(pod.namespace, pod.labels, self._picture.namespaces)


def _domains(node: NodeState, terms: Iterable[PodTerm]) -> Iterable[Domain]:
    return [(term.key, node.labels[term.key]) for term in terms if term.key in node.labels]
