"""The facts of one cycle, and the words in which the steps judge them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers import history
from mini8s.controllers.kinds.daemonset.placing import Fit, hash_of
from mini8s.objects import intstr, meta, pods
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class View:
    """`fits`: what each node is for it; `pods`: its pods by the node they are on or meant for; `held`: nodes
    whose failed pods must wait before they are deleted."""

    obj: Obj
    fits: Mapping[str, Fit]
    pods: Mapping[str, Sequence[Obj]]
    update: Obj
    held: Collection[str]
    now: datetime

    @property
    def wanted(self) -> list[str]:
        return [name for name, fit in self.fits.items() if fit.starts]

    @property
    def min_ready_seconds(self) -> int:
        return int(self.obj["spec"].get("minReadySeconds") or 0)

    @property
    def by_hand(self) -> bool:
        """Old pods are only replaced when somebody deletes them."""
        return (self.obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"

    @property
    def max_surge(self) -> int:
        return self._share("maxSurge", 0)

    @property
    def max_unavailable(self) -> int:
        """One, when the numbers leave no way to go on at all."""
        said = self._share("maxUnavailable", 1)
        return said if said or self.max_surge else 1

    def _share(self, field: str, default: int) -> int:
        """Percentages are of the nodes that shall have a pod, rounded up."""
        if self.by_hand:
            return default
        rolling = (self.obj["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        return intstr.resolve(rolling.get(field, default), len(self.wanted), round_up=True)

    def on(self, node: str) -> list[Obj]:
        """The pods of a node that are not on their way out, the oldest first, those without a node last."""
        found = [pod for pod in self.pods.get(node, ()) if not meta.deleting(pod)]
        return sorted(found, key=_age)

    def is_new(self, pod: Obj) -> bool:
        return meta.labels(pod).get(history.HASH) == hash_of(self.update)

    def available(self, pod: Obj) -> bool:
        """One that ended may still say that it is ready, until its host has said all of it."""
        return not pods.is_terminal(pod) and pods.is_available(pod, self.min_ready_seconds, self.now)


def _age(pod: Obj) -> tuple[bool, str, str]:
    return not pods.node_name(pod), pod["metadata"].get("creationTimestamp") or "", meta.name(pod)
