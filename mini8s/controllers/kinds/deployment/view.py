"""The facts of one cycle: a Deployment, its ReplicaSets told apart, and the numbers its strategy means.

A `Sized` is a ReplicaSet with the size that the plan has given it so far: each step of a plan sees what the
steps before it decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mini8s.objects import intstr, meta
from mini8s.objects.kinds import Obj

NO_DEADLINE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Sized:
    """A ReplicaSet as it is, and the replicas it is to have."""

    obj: Obj
    replicas: int

    @property
    def name(self) -> str:
        return meta.name(self.obj)

    @property
    def is_at(self) -> int:
        """The size it has on the server."""
        return int(self.obj["spec"].get("replicas", 1))

    @property
    def available(self) -> int:
        """Of a set that is being made smaller no more can be available than it keeps."""
        return min(_count(self.obj, "availableReplicas"), self.replicas)

    def of(self, field: str) -> int:
        """A count of its status."""
        return _count(self.obj, field)


@dataclass(frozen=True, slots=True)
class View:
    """`new` has the Deployment's template, if there is one that does; `old` are all others, oldest first.
    `old_pods`: whether a pod of an old one is still there and not at its end."""

    obj: Obj
    new: Sized | None
    old: tuple[Sized, ...]
    old_pods: bool
    now: datetime

    @property
    def name(self) -> str:
        return meta.name(self.obj)

    @property
    def all(self) -> tuple[Sized, ...]:
        return (*self.old, self.new) if self.new else self.old

    @property
    def active(self) -> tuple[Sized, ...]:
        return tuple(one for one in self.all if one.replicas > 0)

    @property
    def replicas(self) -> int:
        return int(self.obj["spec"].get("replicas", 1))

    @property
    def rolling(self) -> bool:
        strategy = self.obj["spec"].get("strategy") or {}
        return str(strategy.get("type", "RollingUpdate")) == "RollingUpdate"

    @property
    def paused(self) -> bool:
        return bool(self.obj["spec"].get("paused"))

    @property
    def max_surge(self) -> int:
        return self._fenceposts()[0] if self.rolling else 0

    @property
    def max_unavailable(self) -> int:
        if not self.rolling or not self.replicas:
            return 0
        return min(self._fenceposts()[1], self.replicas)

    @property
    def deadline(self) -> int | None:
        """Seconds that a step of progress may take; None: for ever."""
        seconds = self.obj["spec"].get("progressDeadlineSeconds")
        return None if seconds in {None, NO_DEADLINE} else int(seconds)

    @property
    def status(self) -> Obj:
        return self.obj.get("status") or {}

    def sized(self, changes: Iterable[Sized]) -> View:
        """The same with these ReplicaSets at their new sizes."""
        by_name = {one.name: one for one in changes}
        new = by_name.get(self.new.name, self.new) if self.new else None
        return replace(self, new=new, old=tuple(by_name.get(one.name, one) for one in self.old))

    def _fenceposts(self) -> tuple[int, int]:
        """Surge rounded up, unavailable rounded down; both zero would be a roll-out that never moves."""
        rolling = (self.obj["spec"].get("strategy") or {}).get("rollingUpdate") or {}
        surge = intstr.resolve(rolling.get("maxSurge", "25%"), self.replicas, round_up=True)
        unavailable = intstr.resolve(rolling.get("maxUnavailable", "25%"), self.replicas, round_up=False)
        return surge, unavailable if surge or unavailable else 1


def total(sets: Iterable[Sized]) -> int:
    return sum(one.replicas for one in sets)


def count(sets: Iterable[Sized], field: str) -> int:
    return sum(one.of(field) for one in sets)


def by_age(sets: Sequence[Obj]) -> list[Obj]:
    """Oldest first."""
    return sorted(sets, key=lambda one: (one["metadata"].get("creationTimestamp") or "", meta.name(one)))


def _count(obj: Obj, field: str) -> int:
    return int((obj.get("status") or {}).get(field) or 0)
