"""The condition DisruptionTarget: a pod that is ended from outside says by whom and why."""

from __future__ import annotations

from datetime import datetime

from mini8s.objects import conditions
from mini8s.objects.kinds import Obj


def disrupted(pod: Obj, reason: str, message: str, now: datetime) -> list[Obj]:
    """The pod's conditions with that one in them."""
    found = (pod.get("status") or {}).get("conditions") or ()
    return conditions.set_condition(
        found, "DisruptionTarget", "True", reason=reason, message=message, now=now
    )
