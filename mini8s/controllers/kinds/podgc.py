"""Pods that nobody will ever finish: their node is gone, or they were deleted before they had one, or there
are too many that have ended (`gc_controller.go`).

Looks only when a change made such a pod, or while a missing node has time to come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers.actions import Action, Plan, delete, patch
from mini8s.controllers.base import Context, Source
from mini8s.controllers.disruption import disrupted
from mini8s.objects import meta, pods
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import NODES, PODS, Obj

ALL = "all"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


@dataclass(frozen=True, slots=True)
class Facts:
    """`missing`: nodes that are gone for good; `out_of_service`: nodes of which a person said so."""

    pods: Sequence[Obj]
    missing: frozenset[str]
    out_of_service: frozenset[str]
    threshold: int


class PodGc:
    name = "podgc"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nodes = context.cache(NODES)
        self._pods = context.cache(PODS)
        self._since: dict[str, float] = {}  # when each missing node was first missed
        self.sources = (Source(PODS, self._pod_changed), Source(NODES, self._node_changed))

    def plan(self, key: str) -> Plan:  # noqa: ARG002 - there is one key, and it means everything
        found, now = self._pods.list(), self._context.clock.monotonic()
        names = {pods.node_name(pod) for pod in found} - {""}
        absent = {name for name in names if self._nodes.get("", name) is None}
        self._since = {name: self._since.get(name, now) for name in absent}
        grace = self._context.settings.orphan_grace_seconds
        late = frozenset(name for name in absent if now - self._since[name] >= grace)
        facts = Facts(
            found,
            frozenset(name for name in late if self._is_gone(name)),
            frozenset(meta.name(node) for node in self._nodes.list() if _out_of_service(node)),
            self._context.settings.terminated_pod_threshold,
        )
        return plan(
            facts, self._context.clock.now(), self._context.settings.pod_gc_every_seconds if absent else None
        )

    def _is_gone(self, name: str) -> bool:
        """Asked of the server itself: what is done then cannot be taken back."""
        try:
            self._context.api.get(NODES, "", name)
        except NotFound:
            return True
        return False

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:  # noqa: ARG002
        if new is None:
            return ()
        unplaced = not pods.node_name(new)
        if pods.is_terminal(new) or (meta.deleting(new) and unplaced):
            return (ALL,)
        return () if unplaced or self._nodes.get("", pods.node_name(new)) else (ALL,)

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        gone = new is None or (_out_of_service(new) and not (old and _out_of_service(old)))
        return (ALL,) if gone else ()


def plan(facts: Facts, now: datetime, again: float | None) -> Plan:
    actions: list[Action] = []
    for pod in facts.pods:
        node = pods.node_name(pod)
        if node in facts.missing:
            actions += (
                *_failed(pod, "PodGC: node no longer exists", now),
                delete(PODS, pod, grace_seconds=0),
            )
        elif meta.deleting(pod) and (not node or node in facts.out_of_service):
            actions += (*_ended(pod), delete(PODS, pod, grace_seconds=0))
    ended = [pod for pod in facts.pods if pods.is_terminal(pod) and not meta.deleting(pod)]
    surplus = max(0, len(ended) - facts.threshold)
    oldest = sorted(ended, key=lambda pod: pod["metadata"].get("creationTimestamp") or "")[:surplus]
    actions += [
        delete(PODS, pod, grace_seconds=0) for pod in oldest if pods.node_name(pod) not in facts.missing
    ]
    return Plan(tuple(actions), again, f"{len(facts.missing)} nodes gone, {len(ended)} pods ended")


def _ended(pod: Obj) -> Iterable[Action]:
    """Who holds it by a finalizer waits for its end, which no kubelet will tell."""
    if not pods.is_terminal(pod) and meta.finalizers(pod):
        yield patch(PODS, pod, {"status": {"phase": "Failed"}}, subresource="status")


def _failed(pod: Obj, why: str, now: datetime) -> Iterable[Action]:
    if pods.is_terminal(pod):
        return
    marked = disrupted(pod, "DeletionByPodGC", why, now)
    yield patch(PODS, pod, {"status": {"phase": "Failed", "conditions": marked}}, subresource="status")


def _out_of_service(node: Obj) -> bool:
    return any(taint.get("key") == OUT_OF_SERVICE for taint in node["spec"].get("taints") or ())
