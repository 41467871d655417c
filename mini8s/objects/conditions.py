"""The list `status.conditions` that most kinds keep: read it, and change it without losing when it last
changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time


def get(obj: Obj, type: str) -> Obj | None:
    return _find((obj.get("status") or {}).get("conditions") or (), type)


def is_true(obj: Obj, type: str) -> bool:
    found = get(obj, type)
    return found is not None and found.get("status") == "True"


def set_condition(
    conditions: Sequence[Obj],
    type: str,
    status: str,
    reason: str,
    message: str,
    now: datetime,
) -> list[Obj]:
    """A new list with this condition in it; `lastTransitionTime` moves only when the status does."""
    old = _find(conditions, type) or {}
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    new = old | {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or format_time(now),
    }
    if old:
        return [new if condition is old else condition for condition in conditions]
    return [*conditions, new]


def remove_condition(conditions: Sequence[Obj], type: str) -> list[Obj]:
    return [condition for condition in conditions if condition.get("type") != type]


def _find(conditions: Sequence[Obj], type: str) -> Obj | None:
    for condition in conditions:  # a loop: this is asked of each pod, again and again
        if condition.get("type") == type:
            return condition
    return None
