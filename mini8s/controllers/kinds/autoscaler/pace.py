"""How fast replicas may follow what the metrics ask for: stabilisation windows and policies
(`horizontal.go: normalizeDesiredReplicasWithBehaviors`).

What was recommended and done lately is remembered by a clock that nobody can set. A start forgets it, as
upstream's does: the first recommendation of all is then the size that is there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mini8s.objects.kinds import Obj

DOWN_WINDOW = 300  # seconds, --horizontal-pod-autoscaler-downscale-stabilization
_LONGEST = 3600.0  # the longest window or period that the API takes
_DEFAULT_UP = {"stabilizationWindowSeconds": 0}
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_DOWN_LIMIT = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)
_READY = ("ReadyForNewScale", "recommended size matches current size")
_STABLE_UP = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_STABLE_DOWN = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)


@dataclass(frozen=True, slots=True)
class History:
    """(second, replicas) that were recommended, and (second, change) that was made: up is positive.
    `asked_at`: the size at which the last change was asked for, until it is known what became of it."""

    recommended: tuple[tuple[float, int], ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    asked_at: int | None = None

    def recommend(self, at: float, replicas: int) -> History:
        kept = tuple(item for item in self.recommended if item[0] > at - _LONGEST)
        return replace(self, recommended=(*kept, (at, replicas)))

    def change(self, at: float, current: int, size: int) -> History:
        kept = tuple(item for item in self.changes if item[0] > at - _LONGEST)
        return replace(self, changes=(*kept, (at, size - current)), asked_at=current)

    def seen(self, current: int) -> History:
        """What was refused is no change: the size is what it was."""
        kept = self.changes[:-1] if self.asked_at == current else self.changes
        return replace(self, changes=kept, asked_at=None)

    def grown_in(self, seconds: int, at: float) -> int:
        return sum(by for when, by in self.changes if when > at - seconds)


@dataclass(frozen=True, slots=True)
class Pace:
    """`able` and `limited` are the reasons and messages of AbleToScale and ScalingLimited."""

    replicas: int
    able: tuple[str, str]
    limited: tuple[str, str]
    is_limited: bool


def pace(spec: Obj, history: History, current: int, wanted: int, at: float) -> Pace:
    """The size that is allowed now. `history` is what was before this recommendation."""
    rules = spec.get("behavior") or {}
    up, down = rules.get("scaleUp") or _DEFAULT_UP, rules.get("scaleDown") or {}
    stable = _stabilized(history, current, wanted, at, _window(up, 0), _window(down, DOWN_WINDOW))
    stable_words = _STABLE_UP if wanted >= current else _STABLE_DOWN
    least, most = int(spec.get("minReplicas") or 1), int(spec["maxReplicas"])
    if stable > current:
        limit = _up_limit(up, history, current, at)
        words = (most, _TOO_MANY) if most <= limit else (limit, _UP_LIMIT)
        allowed, why = (words[0], words[1]) if stable > words[0] else (stable, _WITHIN)
    elif stable < current:
        floor = _down_limit(down, history, current, at)
        words = (least, _TOO_FEW) if least >= floor else (floor, _DOWN_LIMIT)
        allowed, why = (words[0], words[1]) if stable < words[0] else (stable, _WITHIN)
    else:
        allowed, why = stable, _WITHIN
    return Pace(allowed, _READY if stable == wanted else stable_words, why, why is not _WITHIN)


def _window(rules: Obj, default: int) -> int:
    stated = rules.get("stabilizationWindowSeconds")
    return default if stated is None else int(stated)


def _stabilized(history: History, current: int, wanted: int, at: float, up: int, down: int) -> int:
    lowest = min([wanted, *(size for when, size in history.recommended if when > at - up)])
    highest = max([wanted, *(size for when, size in history.recommended if when > at - down)])
    return min(max(current, lowest), highest)


def _up_limit(rules: Obj, history: History, current: int, at: float) -> int:
    if "policies" not in rules:
        return max(2 * current, 4)
    if rules.get("selectPolicy") == "Disabled":
        return current
    proposed = []
    for policy in rules["policies"]:
        start = current - history.grown_in(policy["periodSeconds"], at)
        if policy["type"] == "Pods":
            proposed.append(start + policy["value"])
        else:
            proposed.append(math.ceil(start * (100 + policy["value"]) / 100))
    choose = min if rules.get("selectPolicy") == "Min" else max
    return max(current, int(choose(proposed)))


def _down_limit(rules: Obj, history: History, current: int, at: float) -> int:
    if "policies" not in rules:
        return 0
    if rules.get("selectPolicy") == "Disabled":
        return current
    proposed = []
    for policy in rules["policies"]:
        start = current - history.grown_in(policy["periodSeconds"], at)
        if policy["type"] == "Pods":
            proposed.append(start - policy["value"])
        else:
            proposed.append(start * (100 - policy["value"]) // 100)
    choose = max if rules.get("selectPolicy") == "Min" else min
    return min(current, int(choose(proposed)))
