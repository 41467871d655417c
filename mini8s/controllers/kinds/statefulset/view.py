"""The facts of one cycle, and the words in which the steps judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers import history
from mini8s.controllers.kinds.statefulset import identity
from mini8s.objects import intstr, meta, pods
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class View:
    """`pods` by number; `claims` by name: those of the names that its templates make. `current` and `update`:
    the revisions that pods are rolled from and to."""

    obj: Obj
    pods: Mapping[int, Obj]
    claims: Mapping[str, Obj]
    current: Obj
    update: Obj
    now: datetime

    @property
    def numbers(self) -> range:
        """Of the pods that there shall be."""
        return identity.numbers(self.obj)

    @property
    def condemned(self) -> list[int]:
        """Those beyond, the highest first."""
        return sorted((number for number in self.pods if number not in self.numbers), reverse=True)

    @property
    def ordered(self) -> bool:
        return bool(self.obj["spec"].get("podManagementPolicy") != "Parallel")

    @property
    def min_ready_seconds(self) -> int:
        return int(self.obj["spec"].get("minReadySeconds") or 0)

    @property
    def by_hand(self) -> bool:
        """Pods are only replaced when somebody deletes them."""
        return bool((self.obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete")

    @property
    def partition(self) -> int:
        """How many of the lowest pods keep the current revision."""
        return int(self._rolling.get("partition") or 0)

    @property
    def max_unavailable(self) -> int:
        said = self._rolling.get("maxUnavailable")
        return max(1, intstr.resolve(said, len(self.numbers), round_up=True)) if said is not None else 1

    @property
    def _rolling(self) -> Obj:
        return (self.obj["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}

    def revision_for(self, number: int) -> Obj:
        """Of a pod that is made now: below the partition the current one."""
        keeps = not self.by_hand and number - self.numbers.start < self.partition
        return self.current if keeps else self.update

    def available(self, pod: Obj) -> bool:
        return is_ready(pod) and pods.is_available(pod, self.min_ready_seconds, self.now)

    def healthy(self, pod: Obj | None) -> bool:
        return pod is not None and self.available(pod) and not meta.deleting(pod)


def is_ready(pod: Obj) -> bool:
    return pods.phase(pod) == "Running" and pods.is_ready(pod)


def revision_name(pod: Obj) -> str:
    return meta.labels(pod).get(history.HASH, "")
