"""How many pods of a PodDisruptionBudget may be away: what its status says, and what evictions go by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mini8s.objects import intstr, labels, meta, pods
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class Counts:
    """Pods that there should be, that are healthy, and that must stay so."""

    expected: int
    healthy: int
    desired: int

    @property
    def allowed(self) -> int:
        return max(0, self.healthy - self.desired) if self.expected else 0


def covers(budget: Obj, pod: Obj) -> bool:
    """An empty selector takes every pod of the namespace, a missing one none."""
    return labels.from_label_selector((budget.get("spec") or {}).get("selector")).matches(meta.labels(pod))


def count(budget: Obj, covered: Iterable[Obj]) -> Counts:
    """A pod that goes counts until its replacement is there; one whose eviction was promised is not
    healthy."""
    promised = (budget.get("status") or {}).get("disruptedPods") or {}
    alive = [pod for pod in covered if not pods.is_terminal(pod)]
    healthy = [
        pod
        for pod in alive
        if pods.is_ready(pod) and not meta.deleting(pod) and meta.name(pod) not in promised
    ]
    return Counts(len(alive), len(healthy), _desired(budget.get("spec") or {}, len(alive)))


def _desired(spec: Obj, expected: int) -> int:
    most = spec.get("maxUnavailable")
    if most is not None:
        return max(0, expected - intstr.resolve(most, expected, round_up=True))
    return intstr.resolve(spec.get("minAvailable", 1), expected, round_up=True)
