"""Who makes room for the new revision: from the highest number down to the partition, so many at once.

maxUnavailable is honoured wherever it is said, though upstream 1.33 has it behind a gate: without it it is
one, which is what upstream does without the gate.
"""

from __future__ import annotations

from mini8s.controllers.kinds.statefulset.view import View, revision_name
from mini8s.objects import meta
from mini8s.objects.kinds import Obj


def outdated(view: View) -> list[int]:
    """The numbers whose pods are to be deleted now."""
    if view.by_hand:
        return []
    walk = [number for number in reversed(view.numbers) if number - view.numbers.start >= view.partition]
    old = [number for number in walk if _is_old(view, view.pods.get(number))]
    used = sum(not view.healthy(view.pods.get(number)) for number in walk if number not in old)
    return old[: max(0, view.max_unavailable - used)]


def _is_old(view: View, pod: Obj | None) -> bool:
    return pod is not None and revision_name(pod) != meta.name(view.update) and not meta.deleting(pod)
