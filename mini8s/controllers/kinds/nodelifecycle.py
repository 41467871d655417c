"""Nodes that went quiet: marked Unknown, tainted, their pods shown as not ready, and back when they return.

A heartbeat is a change of the node's lease (namespace kube-node-lease) or of the heartbeat in its Ready
condition. Silence is measured on our own clock from when the last one was seen, so that neither a node's
wrong clock nor a restart of this process makes a node look lost. A settled node costs one look in each grace
period.

When every node is lost at once, or most of a small cluster is, it is more likely our own link that is down:
then no node is told to give its pods up (upstream's zone disruption, with one zone).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers.actions import NORMAL, NOTHING, WARNING, Action, Plan, Tell, patch
from mini8s.controllers.base import Context, Source
from mini8s.objects import conditions, meta, pods, taints
from mini8s.objects.kinds import LEASES, NODES, PODS, Obj
from mini8s.objects.time import format_time

LEASE_NAMESPACE = "kube-node-lease"
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
_BY_CONDITION = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_OURS = frozenset({NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_BY_CONDITION.values()})
_KUBELETS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_FEW_LOST, _MOST_LOST = 2, 0.55  # upstream's: more than two nodes and 55 % of them


def by_node(pod: Obj) -> Iterable[str]:
    name = pods.node_name(pod)
    return (name,) if name else ()


@dataclass(frozen=True, slots=True)
class Facts:
    """`silent`: seconds since the last heartbeat; `heard`: whether there ever was one; `disrupted`: too many
    nodes are lost to believe that it is theirs."""

    node: Obj
    pods: Sequence[Obj]
    silent: float
    grace: float
    heard: bool
    disrupted: bool

    @property
    def lost(self) -> bool:
        return self.silent >= self.grace

    @property
    def ready(self) -> str:
        """True, False, Unknown, or "" for a node that has not said yet."""
        return str((conditions.get(self.node, "Ready") or {}).get("status") or "")


class NodeLifecycle:
    name = "nodelifecycle"

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._clock = context.clock
        self._nodes = context.cache(NODES)
        self._pods = context.cache(PODS, {"node": by_node})
        self._leases = context.cache(LEASES)
        self._last: dict[str, float] = {}  # when each node was last heard of, on our clock
        self._lost: set[str] = set()  # nodes that aren't Ready, kept by the one thread that hears of nodes
        self._count = 0  # of all nodes
        self.sources = (
            Source(NODES, self._node_changed),
            Source(LEASES, self._lease_changed),
            Source(PODS, lambda _old, _new: ()),  # only to see what was written to them
        )

    def plan(self, key: str) -> Plan:
        node = self._nodes.get("", key)
        if node is None:
            self._last.pop(key, None)
            return NOTHING
        lease = self._leases.get(LEASE_NAMESPACE, key)
        heard = lease is not None or conditions.get(node, "Ready") is not None
        settings = self._settings
        facts = Facts(
            node,
            self._pods.index("node", key),
            self._clock.monotonic() - self._last.setdefault(key, self._clock.monotonic()),
            settings.node_grace_seconds if heard else settings.node_startup_grace_seconds,
            heard,
            disrupted(len(self._lost), self._count),
        )
        return plan(facts, self._clock.now())

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """A node that is lost or returns may change what is believed of all others. Only then are they looked
        at: of thousands that come at once, each would else have all others looked at."""
        one = new or old
        if one is None:
            return ()
        before, after = (conditions.get(obj or {}, "Ready") or {} for obj in (old, new))
        if old is None or before.get("lastHeartbeatTime") != after.get("lastHeartbeatTime"):
            self._last[meta.name(one)] = self._clock.monotonic()
        believed = disrupted(len(self._lost), self._count)
        self._count += (old is None) - (new is None)
        if new is None or after.get("status") == "True":
            self._lost.discard(meta.name(one))
        else:
            self._lost.add(meta.name(one))
        if believed != disrupted(len(self._lost), self._count):
            return {meta.name(one), *map(meta.name, self._nodes.list())}
        return (meta.name(one),)

    def _lease_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """A heartbeat is only noted: a node that returns says so in its status."""
        before = old["spec"].get("renewTime") if old else None
        if new and meta.namespace(new) == LEASE_NAMESPACE and new["spec"].get("renewTime") != before:
            self._last[meta.name(new)] = self._clock.monotonic()
        return ()


def plan(facts: Facts, now: datetime) -> Plan:
    actions = [*_marked(facts, now), *_pods_not_ready(facts, now)]
    if not actions:
        actions = [*_tainted(facts, now)]  # of the marked node, when the caches have it
    again = None if facts.lost else facts.grace - facts.silent
    return Plan(tuple(actions), again, _sentence(facts))


def disrupted(lost: int, count: int) -> bool:
    if lost == count:
        return True
    return lost > _FEW_LOST and lost / count >= _MOST_LOST


def _marked(facts: Facts, now: datetime) -> Iterable[Action]:
    """What the kubelet last said is no longer known."""
    found = (facts.node.get("status") or {}).get("conditions") or []
    marked = found
    for about in _KUBELETS if facts.lost else ():
        said = conditions.get(facts.node, about)
        if said and said.get("status") == "Unknown":
            continue
        reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
        if said is None:
            reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
        marked = conditions.set_condition(marked, about, "Unknown", reason=reason, message=message, now=now)
    if marked != found:
        yield patch(NODES, facts.node, {"status": {"conditions": marked}}, subresource="status", swap=True)
        if facts.ready == "True":
            what = f"Node {meta.name(facts.node)} status is now: NodeNotReady"
            yield Tell(facts.node, NORMAL, "NodeNotReady", what)


def _pods_not_ready(facts: Facts, now: datetime) -> Iterable[Action]:
    """So that Services send nothing more to them. Of a kubelet that still talks the pods are its to judge."""
    for pod in facts.pods if facts.lost else ():
        said = conditions.get(pod, "Ready")
        if said is None or said.get("status") != "True":
            continue
        marked = [
            one | {"status": "False", "lastTransitionTime": format_time(now)} if one is said else one
            for one in pod["status"]["conditions"]
        ]
        yield patch(PODS, pod, {"status": {"conditions": marked}}, subresource="status", swap=True)
        yield Tell(pod, WARNING, "NodeNotReady", "Node is not ready")


def _tainted(facts: Facts, now: datetime) -> Iterable[Action]:
    found = facts.node["spec"].get("taints") or []
    kept = [taint for taint in found if taint.get("key") not in _OURS]
    for wanted in _wanted(facts):
        there = next((taint for taint in found if taints.same(taint, wanted)), None)
        if there is None and wanted["effect"] == taints.NO_EXECUTE:
            if facts.disrupted:
                continue
            wanted |= {"timeAdded": format_time(now)}
        kept.append(there or wanted)
    if sorted(map(str, kept)) != sorted(map(str, found)):
        yield patch(NODES, facts.node, {"spec": {"taints": kept or None}}, swap=True)


def _wanted(facts: Facts) -> Iterable[Obj]:
    key = {"True": "", "Unknown": UNREACHABLE}.get(facts.ready, NOT_READY)
    if key:
        yield {"key": key, "effect": taints.NO_SCHEDULE}
    if key and facts.ready:
        yield {"key": key, "effect": taints.NO_EXECUTE}
    for about, of_condition in _BY_CONDITION.items():
        if conditions.is_true(facts.node, about):
            yield {"key": of_condition, "effect": taints.NO_SCHEDULE}
    if facts.node["spec"].get("unschedulable"):
        yield {"key": UNSCHEDULABLE, "effect": taints.NO_SCHEDULE}


def _sentence(facts: Facts) -> str:
    if facts.lost:
        held = ", but too many are to move its pods" if facts.disrupted else ""
        return f"lost, no heartbeat for {facts.grace:g} s{held}"
    return "ready" if facts.ready == "True" else "not ready, says its agent"
