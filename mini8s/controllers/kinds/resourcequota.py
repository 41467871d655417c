"""ResourceQuota: its status says what is used, by a count of what is there (`resource_quota_controller.go`).

Nobody goes by it: admission counts for itself. So it may be late: of many changes one count is made, at most
one a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from mini8s.controllers.actions import NOTHING, Plan, Update
from mini8s.controllers.base import Changed, Context, Source, own_key
from mini8s.objects import meta, quantity, quotas
from mini8s.objects.kinds import (
    EVENTS,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    RESOURCEQUOTAS,
    SERVICES,
    STORED,
    Kind,
    Obj,
)

EVERY_SECONDS = 1.0
_MEASURED = frozenset({PODS, SERVICES, PERSISTENTVOLUMECLAIMS})  # more than their number counts
_COUNTED = tuple(kind for kind in STORED if kind.namespaced and kind is not EVENTS)
Objects = Callable[[Kind], Sequence[Obj]]


class ResourceQuotas:
    name = "resourcequota"

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._caches = {
            kind: context.cache(kind)
            if kind in _MEASURED or kind is RESOURCEQUOTAS
            else context.metadata(kind)
            for kind in _COUNTED
        }
        self._quotas = self._caches[RESOURCEQUOTAS]
        self._last: dict[str, float] = {}  # when each was counted
        self.sources = tuple(self._source(kind) for kind in _COUNTED)

    def plan(self, key: str) -> Plan:
        quota = self._quotas.get(*meta.split_key(key))
        if quota is None:
            self._last.pop(key, None)
            return NOTHING
        now = self._clock.monotonic()
        wait = self._last.get(key, now - EVERY_SECONDS) + EVERY_SECONDS - now
        if wait > 0:
            return Plan(again_after=wait)
        self._last[key] = now
        return plan(quota, lambda kind: self._caches[kind].list(meta.namespace(quota)))

    def _source(self, kind: Kind) -> Source:
        whole = kind in _MEASURED or kind is RESOURCEQUOTAS
        return Source(kind, self._changed(kind), metadata_only=not whole)

    def _changed(self, kind: Kind) -> Changed:
        def changed(old: Obj | None, new: Obj | None) -> Iterable[str]:
            if kind is RESOURCEQUOTAS and new is not None and (old is None or old["spec"] != new["spec"]):
                yield from own_key(new)
            found = self._quotas.list(meta.namespace(new or old or {}))
            if found and _matters(kind, old, new):
                yield from map(meta.key, found)

        return changed


def plan(quota: Obj, objects: Objects) -> Plan:
    hard = quotas.hard(quota)
    used = {name: quotas.text(name, amount) for name, amount in _used(quota, objects).items()}
    status = {"hard": dict(hard), "used": used} if hard else {}
    said = ", ".join(f"{name} {used[name]}/{most}" for name, most in sorted(hard.items()))
    if _amounts(status) == _amounts(quota.get("status") or {}):
        return Plan(said=said)
    return Plan((Update(RESOURCEQUOTAS, quota | {"status": status}, "status"),), said=said)


def _used(quota: Obj, objects: Objects) -> Mapping[str, Decimal]:
    used = dict.fromkeys(quotas.hard(quota), Decimal(0))
    for kind in _COUNTED:
        if not any(quotas.speaks_of(name, kind) for name in used):
            continue
        for obj in objects(kind):
            if quotas.covers(quota, kind, obj):
                for name, amount in quotas.usage(kind, obj).items():
                    if name in used:
                        used[name] += amount
    return used


def _matters(kind: Kind, old: Obj | None, new: Obj | None) -> bool:
    """Of most kinds only how many there are."""
    if old is None or new is None:
        return True
    return kind in _MEASURED and quotas.usage(kind, old) != quotas.usage(kind, new)


def _amounts(status: Obj) -> Mapping[str, Mapping[str, Decimal]]:
    """Equal amounts may be written in different ways."""
    return {
        part: {name: quantity.parse(text) for name, text in (status.get(part) or {}).items()}
        for part in ("hard", "used")
    }
