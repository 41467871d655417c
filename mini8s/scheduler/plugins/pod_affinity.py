"""InterPodAffinity: with whom a pod will share a domain and with whom not, and who is there that minds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mini8s.scheduler.base import Picture, PodFacts, View
from mini8s.scheduler.terms import PodTerm

LONELY = "node(s) didn't match pod affinity rules"
REPELLED = "node(s) didn't match pod anti-affinity rules"
UNWANTED = "node(s) didn't satisfy existing pods anti-affinity rules"
HARD_WEIGHT = 1  # kube-scheduler's hardPodAffinityWeight: what others require counts as a weak wish, too

Domain = tuple[str, str]  # topology key, value


def pod_affinity(pod: PodFacts, picture: Picture) -> View | None:
    return _Affinity(pod, picture) if pod.affine or picture.minding else None


class _Affinity:
    def __init__(self, pod: PodFacts, picture: Picture) -> None:
        self._pod, self._picture = pod, picture
        self._company: Counter[Domain] = Counter()  # domains with pods that match all that it requires
        self._shunned: Counter[Domain] = Counter()  # domains with pods that it does not want to be with
        self._guarded: Counter[Domain] = Counter()  # domains with pods that do not want to be with it
        self._liking: Counter[Domain] = Counter()
        self._minded: set[str] = set()  # keys by which others mind it
        self._firsts = all(self._hits(term, pod) for term in pod.attracted.required)
        self.loosened = 0
        for node in picture.nodes.values():
            there = picture.on(node.name) if pod.affine else picture.minding_on(node.name)
            for other in there:
                self._count(other, node.labels, 1)
        mine = (term.key for rules in (pod.attracted, pod.repelled) for term in rules)
        self.keys = tuple(dict.fromkeys((*mine, *sorted(self._minded))))
        self._known = frozenset(self.keys)
        self._scale = max([1, *map(abs, self._liking.values())])

    def why_not(self, key: str, value: str | None) -> Sequence[str]:
        if any(term.key == key for term in self._pod.attracted.required) and not self._welcome(key, value):
            return (LONELY,)
        if value is None:
            return ()
        if self._shunned[key, value]:
            return (REPELLED,)
        return (UNWANTED,) if self._guarded[key, value] else ()

    def points(self, key: str, value: str | None) -> float:
        return 100.0 * self._liking[key, value] / self._scale if value is not None else 0.0

    def moved(self, pod: PodFacts, labels: Mapping[str, str], _node: str, sign: int, /) -> bool:
        """Points are in proportion to the most that there is, within a factor of two."""
        domains = len(self._company)
        most = self._count(pod, labels, sign)
        self.loosened += len(self._company) != domains
        return self._minded <= self._known and most <= 2 * self._scale

    def _welcome(self, key: str, value: str | None) -> bool:
        """The first of a group that wants to be together is let in wherever there is a domain."""
        if value is None:
            return False
        return bool(self._company[key, value]) or (not self._company and self._firsts)

    def _count(self, other: PodFacts, labels: Mapping[str, str], sign: int) -> int:
        """Take in, or out, what this pod and the other say of each other; the most that it changed to."""
        attracted, repelled = self._pod.attracted, self._pod.repelled
        if attracted.required and all(self._hits(term, other) for term in attracted.required):
            _add(self._company, labels, attracted.required, sign)
        _add(self._shunned, labels, self._hitting(repelled.required, other), sign)
        most = self._like(labels, self._hitting(attracted.preferred, other), sign)
        most = max(most, self._like(labels, self._hitting(repelled.preferred, other), -sign))
        return max(most, self._minds(other, labels, sign)) if other.affine else most

    def _minds(self, other: PodFacts, labels: Mapping[str, str], sign: int) -> int:
        guarding = self._hitting(other.repelled.required, self._pod)
        needing = self._hitting(other.attracted.required, self._pod)
        liking = self._hitting(other.attracted.preferred, self._pod)
        disliking = self._hitting(other.repelled.preferred, self._pod)
        self._minded.update(term.key for term in (*guarding, *needing, *liking, *disliking))
        _add(self._guarded, labels, guarding, sign)
        _add(self._liking, labels, needing, sign * HARD_WEIGHT)
        return max(self._like(labels, liking, sign), self._like(labels, disliking, -sign))

    def _like(self, labels: Mapping[str, str], terms: Iterable[PodTerm], sign: int) -> int:
        most = 0
        for term in terms:
            if term.key in labels:
                domain = term.key, labels[term.key]
                self._liking[domain] += sign * term.weight
                most = max(most, abs(self._liking[domain]))
        return most

    def _hitting(self, terms: Sequence[PodTerm], pod: PodFacts) -> Sequence[PodTerm]:
        return [term for term in terms if self._hits(term, pod)]

    def _hits(self, term: PodTerm, pod: PodFacts) -> bool:
        return term.matches(pod.namespace, pod.labels, self._picture.labels_of)


def _add(counts: Counter[Domain], labels: Mapping[str, str], terms: Iterable[PodTerm], sign: int) -> None:
    for term in terms:
        if term.key in labels:
            domain = term.key, labels[term.key]
            counts[domain] += sign
            if not counts[domain]:
                del counts[domain]
