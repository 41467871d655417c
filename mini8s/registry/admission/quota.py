"""ResourceQuota: a namespace holds no more than its quotas allow.

What is used is counted from what is stored, at each creation and each growth: slower than a number that is
kept, and never wrong. `Turns` makes counting and the write that it allows one step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal

from mini8s.objects import meta, quantity, quotas
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PODS, RESOURCEQUOTAS, SERVICES, Kind, Obj
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt

_GROW = frozenset({(PODS, "resize"), (SERVICES, ""), (PERSISTENTVOLUMECLAIMS, "")})
_AT_ONCE = nullcontext()


def counts(kind: Kind, subresource: str) -> bool:
    """Whether a change of such an object may take more of what is limited."""
    return (kind, subresource) in _GROW


class Turns:
    """Creations and growth in a namespace that has a quota come one after the other."""

    def __init__(self, has_quota: Callable[[str], bool]) -> None:
        self._has_quota = has_quota
        self._lock = threading.Lock()  # guards the time between counting and being stored

    def of(self, namespace: str) -> AbstractContextManager[object]:
        return self._lock if namespace and self._has_quota(namespace) else _AT_ONCE


def resource_quota(attempt: Attempt) -> None:
    grows = attempt.operation == "UPDATE" and counts(attempt.kind, attempt.subresource)
    creates = attempt.operation == "CREATE" and not attempt.subresource
    if not attempt.kind.namespaced or not (creates or grows):
        return
    for quota in attempt.world.all(RESOURCEQUOTAS, attempt.namespace):
        hard = {name: Decimal(quantity.parse(most)) for name, most in quotas.hard(quota).items()}
        if quotas.covers(quota, attempt.kind, attempt.obj):
            _judge(attempt, quota, hard)


def _judge(attempt: Attempt, quota: Obj, hard: Mapping[str, Decimal]) -> None:
    asked = {name: count for name, count in quotas.usage(attempt.kind, attempt.obj).items() if name in hard}
    if attempt.old is not None:
        had = quotas.usage(attempt.kind, attempt.old)
        asked = {name: count for name, count in asked.items() if count > had.get(name, 0)}
    elif attempt.kind is PODS:
        _check_stated(attempt, quota, hard)
    if not any(asked.values()):
        return
    used: quotas.Usage = dict.fromkeys(asked, Decimal(0))
    for other in attempt.world.all(attempt.kind, attempt.namespace):
        if quotas.covers(quota, attempt.kind, other) and not (
            attempt.old and meta.name(other) == attempt.name
        ):
            for name, count in quotas.usage(attempt.kind, other).items():
                used[name] = used.get(name, Decimal(0)) + count
    over = sorted(name for name, count in asked.items() if count and used[name] + count > hard[name])
    if over:
        said = ", ".join(
            f"{word}: {','.join(f'{name}={quotas.text(name, amounts[name])}' for name in over)}"
            for word, amounts in (("requested", asked), ("used", used), ("limited", hard))
        )
        raise refusals.forbidden(attempt.kind, attempt.name, f"exceeded quota: {meta.name(quota)}, {said}")


def _check_stated(attempt: Attempt, quota: Obj, hard: Iterable[str]) -> None:
    """What is limited in all must be stated of each container."""
    missing: dict[str, list[str]] = {}
    containers = [
        *(attempt.spec.get("containers") or ()), *(attempt.spec.get("initContainers") or ())
    ]  # fmt: skip
    for name in sorted(hard):
        side, _, resource = name.rpartition(".")
        if resource not in quotas.COMPUTE:
            continue
        silent = [
            item.get("name") or ""
            for item in containers
            if resource not in ((item.get("resources") or {}).get(side or "requests") or {})
        ]
        if silent:
            missing[name] = silent
    if missing:
        said = "; ".join(f"{name} for: {','.join(silent)}" for name, silent in missing.items())
        why = f"failed quota: {meta.name(quota)}: must specify {said}"
        raise refusals.forbidden(PODS, attempt.name, why)
