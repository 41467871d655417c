"""Pods leave nodes whose NoExecute taints they do not tolerate, or no longer (`taint_eviction.go`).

The time a pod has counts from the taint's timeAdded, so that a restart of this process does not start it
anew; of a taint without one it counts from when it was first seen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from mini8s.controllers.actions import NORMAL, NOTHING, Plan, Tell, delete, patch
from mini8s.controllers.base import Context, Source
from mini8s.controllers.disruption import disrupted
from mini8s.controllers.kinds.nodelifecycle import by_node
from mini8s.objects import meta, pods, taints
from mini8s.objects.kinds import NODES, PODS, Obj
from mini8s.objects.time import format_time, parse_time


class TaintEviction:
    name = "tainteviction"

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._nodes = context.cache(NODES)
        self._pods = context.cache(PODS, {"node": by_node})
        self._seen: dict[tuple[str, str], dict[str, datetime]] = {}  # (node, uid) -> taint -> first seen
        self.sources = (Source(NODES, self._node_changed), Source(PODS, self._pod_changed))

    def plan(self, key: str) -> Plan:
        pod = self._pods.get(*meta.split_key(key))
        node = self._nodes.get("", pods.node_name(pod)) if pod else None
        if pod is None or node is None or meta.deleting(pod) or pods.is_terminal(pod):
            return NOTHING
        now = self._clock.now()
        return plan(pod, self._since(node, now), now)

    def _since(self, node: Obj, now: datetime) -> list[tuple[Obj, datetime]]:
        first = self._seen.setdefault((meta.name(node), meta.uid(node)), {})
        return [
            (
                taint,
                parse_time(taint["timeAdded"])
                if taint.get("timeAdded")
                else first.setdefault(taint["key"], now),
            )
            for taint in no_execute(node)
        ]

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        if old is not None and (new is None or not no_execute(new)):
            self._seen.pop((meta.name(old), meta.uid(old)), None)
        if new is None or (old is not None and no_execute(old) == no_execute(new)):
            return ()
        if not no_execute(new) and not (old and no_execute(old)):
            return ()
        return [meta.key(pod) for pod in self._pods.index("node", meta.name(new))]

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        if new is None:
            return (meta.key(old),) if old is not None else ()  # so that nothing is said of it any more
        if old is not None and _relevant(old) == _relevant(new):
            return ()
        node = self._nodes.get("", pods.node_name(new))
        return (meta.key(new),) if node is None or no_execute(node) else ()


def no_execute(node: Obj) -> list[Obj]:
    return [taint for taint in node["spec"].get("taints") or () if taint.get("effect") == taints.NO_EXECUTE]


def plan(pod: Obj, found: Sequence[tuple[Obj, datetime]], now: datetime) -> Plan:
    """`found`: the NoExecute taints of its node, and since when they are there."""
    tolerations = pod["spec"].get("tolerations") or ()
    ends = [
        since + timedelta(seconds=seconds)
        for taint, since in found
        if (seconds := taints.toleration_seconds(tolerations, taint)) is not None
    ]
    if not ends:
        return NOTHING
    left = (min(ends) - now).total_seconds()
    if left > 0:
        return Plan(
            (), left, f"leaves its node at {format_time(min(ends))}, as long as it tolerates its taints"
        )
    why = "Taint manager: deleting due to NoExecute taint"
    marked = disrupted(pod, "DeletionByTaintManager", why, now)
    return Plan(
        (
            patch(PODS, pod, {"status": {"conditions": marked}}, subresource="status", swap=True),
            Tell(pod, NORMAL, "TaintManagerEviction", f"Marking for deletion Pod {meta.key(pod)}"),
            delete(PODS, pod),
        )
    )


def _relevant(pod: Obj) -> tuple[object, ...]:
    return pods.node_name(pod), pod["spec"].get("tolerations"), meta.deleting(pod), pods.is_terminal(pod)
