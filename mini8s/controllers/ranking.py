"""Which pods go first when there are too many (`controller_utils.go: ActivePodsWithRanks`).

Those whose loss hurts least: not on a node yet, not running, not ready, cheap by their own word, sharing a
node with others of the same kind, ready since a short time, restarted often, young. Times are compared by
their logarithm so that of pods of about the same age a random one goes, not always the newest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cmp_to_key

from mini8s.objects import conditions, meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def first_to_go(found: Sequence[Obj], count: int, on_node: Mapping[str, int], now: datetime) -> list[Obj]:
    """`count` of the pods; `on_node`: how many pods of their kind each node has."""
    if count >= len(found):
        return list(found)

    def compare(one: Obj, other: Obj) -> int:
        plain, plain_other = _plain(one, on_node), _plain(other, on_node)
        if plain != plain_other:
            return -1 if plain < plain_other else 1
        return _by_age(one, other, now)

    return sorted(found, key=cmp_to_key(compare))[:count]


def _plain(pod: Obj, on_node: Mapping[str, int]) -> tuple[int, int, int, int, int]:
    node = pods.node_name(pod)
    return (
        1 if node else 0,
        _PHASES.get(pods.phase(pod), 0),
        1 if pods.is_ready(pod) else 0,
        _cost(pod),
        -on_node.get(node, 0) if node else 0,
    )


def _cost(pod: Obj) -> int:
    try:
        return int(meta.annotations(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _by_age(one: Obj, other: Obj, now: datetime) -> int:
    if pods.is_ready(one) and pods.is_ready(other):
        since, since_other = _ready_since(one), _ready_since(other)
        if since != since_other:
            return _by_time(one, other, since, since_other, now)
    restarts = _restarts(other) - _restarts(one)
    if restarts:
        return restarts
    made, made_other = _created(one), _created(other)
    return _by_time(one, other, made, made_other, now) if made != made_other else 0


def _by_time(one: Obj, other: Obj, when: datetime | None, when_other: datetime | None, now: datetime) -> int:
    """The later one first; one without a time before all."""
    if when is None or when_other is None:
        return -1 if when is None else 1
    difference = _logarithm(when, now) - _logarithm(when_other, now)
    if difference:
        return difference
    return -1 if meta.uid(one) < meta.uid(other) else 1


def _logarithm(when: datetime, now: datetime) -> int:
    age = (now - when).total_seconds()
    return int(math.log2(age * 1e9)) if age > 0 else -1


def _ready_since(pod: Obj) -> datetime | None:
    return _time((conditions.get(pod, "Ready") or {}).get("lastTransitionTime"))


def _created(pod: Obj) -> datetime | None:
    return _time(pod["metadata"].get("creationTimestamp"))


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _restarts(pod: Obj) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((status.get("restartCount", 0) for status in statuses), default=0)
