"""Taints and tolerations, as scheduler, kubelet and node controller all judge them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mini8s.objects.kinds import Obj

NO_SCHEDULE = "NoSchedule"
LONGEST_SECONDS = 1e9  # a lifetime, and still a date
PREFER_NO_SCHEDULE = "PreferNoSchedule"
NO_EXECUTE = "NoExecute"


def tolerates(tolerations: Iterable[Obj], taint: Obj) -> bool:
    return any(matches(toleration, taint) for toleration in tolerations)


def matches(toleration: Obj, taint: Obj) -> bool:
    """Whether one toleration covers the taint; an empty key with Exists covers every key, an empty effect
    every effect."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    match toleration.get("operator") or "Equal":
        case "Exists":
            return True
        case "Equal":
            same_key = bool(toleration.get("key")) or not taint.get("key")
            return same_key and (toleration.get("value") or "") == (taint.get("value") or "")
    return False


def first_untolerated(
    taints: Iterable[Obj], tolerations: Sequence[Obj], effects: Sequence[str]
) -> Obj | None:
    """The first taint with one of these effects that nothing tolerates."""
    return next(
        (taint for taint in taints if taint.get("effect") in effects and not tolerates(tolerations, taint)),
        None,
    )


def toleration_seconds(tolerations: Iterable[Obj], taint: Obj) -> float | None:
    """For how long the taint is tolerated: 0 not at all, None for ever, else the shortest of what covers
    it."""
    found = [toleration for toleration in tolerations if matches(toleration, taint)]
    if not found:
        return 0.0
    limits = [item["tolerationSeconds"] for item in found if item.get("tolerationSeconds") is not None]
    return min(max(0.0, float(min(limits))), LONGEST_SECONDS) if limits else None


def same(one: Obj, other: Obj) -> bool:
    """Whether two taints are the same entry of a node: key and effect are its identity."""
    return one.get("key") == other.get("key") and one.get("effect") == other.get("effect")
