"""Which pods a PodDisruptionBudget is about: for its controller, and for evictions."""

from __future__ import annotations

from mini8s.objects import labels, meta
from mini8s.objects.kinds import Obj


def covers(budget: Obj, pod: Obj) -> bool:
    """An empty selector takes every pod of the namespace, a missing one none."""
    return labels.from_label_selector((budget.get("spec") or {}).get("selector")).matches(meta.labels(pod))
