"""PURE: what a pod says about where other pods are: its (anti-)affinity terms and its spread constraints.

Parsed once per pod (Kubernetes documentation, "Assigning Pods to Nodes" and "Pod Topology Spread
Constraints"; KEP-3633 and KEP-3243 for the keys whose values are the pod's own).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.labels import Requirement, Selector, from_label_selector

NamespaceLabels = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods of these namespaces, or of namespaces so labelled, that the selector selects."""

    key: str
    selector: Selector
    namespaces: frozenset[str]
    namespace_selector: Selector
    weight: int = 0

    def matches(self, namespace: str, labels: Mapping[str, str], namespaces: NamespaceLabels) -> bool:
        there = namespace in self.namespaces or self.namespace_selector.empty
        if not there and not self.namespace_selector.none:
            there = self.namespace_selector.matches(namespaces(namespace))
        return there and self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class PodRules:
    """One of podAffinity and podAntiAffinity."""

    required: tuple[PodTerm, ...] = ()
    preferred: tuple[PodTerm, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.required or self.preferred)

    def __iter__(self) -> Iterator[PodTerm]:
        yield from self.required
        yield from self.preferred


NO_RULES = PodRules()


@dataclass(frozen=True, slots=True)
class Constraint:
    """One of topologySpreadConstraints."""

    key: str
    selector: Selector
    max_skew: int = 1
    hard: bool = True
    min_domains: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False


def constraints(pod: Obj) -> tuple[Constraint, ...]:
    return tuple(
        Constraint(
            key=item["topologyKey"],
            selector=_selector(pod, item),
            max_skew=item["maxSkew"],
            hard=item.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
            min_domains=item.get("minDomains") or 1,
            honors_affinity=(item.get("nodeAffinityPolicy") or "Honor") == "Honor",
            honors_taints=(item.get("nodeTaintsPolicy") or "Ignore") == "Honor",
        )
        for item in pod["spec"].get("topologySpreadConstraints") or ()
    )


def rules(pod: Obj, part: str) -> PodRules:
    """`part` is podAffinity or podAntiAffinity."""
    found = (pod["spec"].get("affinity") or {}).get(part) or {}
    return PodRules(
        tuple(
            _term(pod, term, 0) for term in found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        ),
        tuple(
            _term(pod, wish.get("podAffinityTerm") or {}, int(wish["weight"]))
            for wish in found.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ),
    )


def _term(pod: Obj, term: Obj, weight: int) -> PodTerm:
    """Who names no namespaces in either way means the pod's own."""
    names, chosen = term.get("namespaces") or (), term.get("namespaceSelector")
    if not names and chosen is None:
        names = (meta.namespace(pod),)
    return PodTerm(
        term.get("topologyKey") or "",
        _selector(pod, term),
        frozenset(names),
        from_label_selector(chosen),
        weight,
    )


def _selector(pod: Obj, stated: Obj) -> Selector:
    """With the keys whose values are those of the pod; keys that it doesn't have say nothing."""
    selector, labels = from_label_selector(stated.get("labelSelector")), meta.labels(pod)
    if selector.none:
        return selector
    same = _own(labels, "in", stated.get("matchLabelKeys") or ())
    other = _own(labels, "notin", stated.get("mismatchLabelKeys") or ())
    return Selector((*selector.requirements, *same, *other))


def _own(labels: Mapping[str, str], op: str, keys: Sequence[str]) -> Iterable[Requirement]:
    return (Requirement(key, op, frozenset({labels[key]})) for key in keys if key in labels)
