"""Pods leave nodes whose NoExecute taints they do not tolerate, or no longer (`taint_eviction.go`).

The time a pod has counts from the taint's timeAdded, so that a restart of this process does not start it
anew; of a taint without one it counts from when it was first seen here. From then on it is counted on a clock
that nobody can set.

What of a lost node's pods is left to them (`mini8s.io/on-node-lost`): `keep` never goes for its sake. `fence`
goes when the host must have stopped it by itself (`agent/kubelet/node/fence.py` tells why that is sure), and
then at once and for good, so that a StatefulSet may make the next one of its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mini8s.controllers.actions import NORMAL, NOTHING, Plan, Tell, delete, patch
from mini8s.controllers.base import Context, Source
from mini8s.controllers.disruption import disrupted
from mini8s.controllers.kinds.nodelifecycle import LEASE_NAMESPACE, NOT_READY, UNREACHABLE, by_node
from mini8s.objects import meta, pods, taints
from mini8s.objects.kinds import LEASES, NODES, PODS, Obj
from mini8s.objects.time import format_time, parse_time

GRACE_SECONDS = 30  # of a pod that says none
LEASE_SECONDS = 40  # of a lease that says none
MARGIN_SHARE = 0.5  # of a lease, on top: for clocks of different speed, and for hosts that act late
_LOST = frozenset({NOT_READY, UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Facts:
    """`taints`: the NoExecute taints of its node, and for how many seconds they have been there.
    `given_up_in`: the seconds until its host must have stopped it, unless it is heard of meanwhile."""

    pod: Obj
    taints: Sequence[tuple[Obj, float]]
    given_up_in: float

    @property
    def lost(self) -> bool:
        return any(taint["key"] in _LOST for taint, _ in self.taints)


class TaintEviction:
    name = "tainteviction"

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._nodes = context.cache(NODES)
        self._pods = context.cache(PODS, {"node": by_node})
        self._leases = context.cache(LEASES)
        self._seen: dict[
            tuple[str, str], dict[str, tuple[float, float]]
        ] = {}  # (node, uid) -> taint -> since
        self._renewed: dict[str, float] = {}  # when a renewal of each node's lease was last seen, monotonic
        self.sources = (
            Source(NODES, self._node_changed),
            Source(PODS, self._pod_changed),
            Source(LEASES, self._lease_changed),
        )

    def plan(self, key: str) -> Plan:
        pod = self._pods.get(*meta.split_key(key))
        node = self._nodes.get("", pods.node_name(pod)) if pod else None
        if pod is None or node is None or pods.is_terminal(pod):
            return NOTHING
        if meta.deleting(pod) and pods.on_node_lost(pod) != pods.FENCE:
            return NOTHING
        return plan(Facts(pod, self._ages(node), self._given_up_in(pod)), self._clock.now())

    def _ages(self, node: Obj) -> list[tuple[Obj, float]]:
        """A taint's age at first sight is by the wall clock, as is the time that it bears; a time to come is
        none."""
        first = self._seen.setdefault((meta.name(node), meta.uid(node)), {})
        now, tick = self._clock.now(), self._clock.monotonic()
        found = []
        for taint in no_execute(node):
            added = taint.get("timeAdded")
            before = max(0.0, (now - parse_time(added)).total_seconds()) if added else 0.0
            seen, age = first.setdefault(f"{taint['key']} {added}", (tick, before))
            found.append((taint, age + tick - seen))
        return found

    def _given_up_in(self, pod: Obj) -> float:
        """The lease and a margin after its last renewal, and the time that the pod may take to end."""
        node, tick = pods.node_name(pod), self._clock.monotonic()
        lease = (self._leases.get(LEASE_NAMESPACE, node) or {}).get("spec") or {}
        lasts = float(lease.get("leaseDurationSeconds") or LEASE_SECONDS) * (1 + MARGIN_SHARE)
        grace = pod["spec"].get("terminationGracePeriodSeconds")
        ends = float(GRACE_SECONDS if grace is None else grace)
        return self._renewed.setdefault(node, tick) + lasts + ends - tick

    def _lease_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Only noted. A lease that was there before this process counts as renewed when it is first seen."""
        if new is None:
            if old is not None and meta.namespace(old) == LEASE_NAMESPACE:
                self._renewed.pop(meta.name(old), None)
        elif meta.namespace(new) == LEASE_NAMESPACE and (
            old is None or old["spec"].get("renewTime") != new["spec"].get("renewTime")
        ):
            self._renewed[meta.name(new)] = self._clock.monotonic()
        return ()

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


def plan(facts: Facts, now: datetime) -> Plan:
    left = min((wait for wait in _waits(facts) if wait is not None), default=None)
    if left is None:
        return NOTHING
    if left > 0:
        when = format_time(now + timedelta(seconds=left))
        return Plan((), left, f"leaves its node at {when}, as long as it tolerates its taints")
    pod, why = facts.pod, "Taint manager: deleting due to NoExecute taint"
    marked = disrupted(pod, "DeletionByTaintManager", why, now)
    fenced = facts.lost and pods.on_node_lost(pod) == pods.FENCE and facts.given_up_in <= 0
    return Plan(
        (
            patch(PODS, pod, {"status": {"conditions": marked}}, subresource="status", swap=True),
            Tell(pod, NORMAL, "TaintManagerEviction", f"Marking for deletion Pod {meta.key(pod)}"),
            delete(PODS, pod, grace_seconds=0 if fenced else None),
        )
    )


def _waits(facts: Facts) -> Iterable[float | None]:
    """Of each taint the seconds that are left; None: it is tolerated for good. One that is deleted already
    only waits for its host."""
    policy, tolerations = pods.on_node_lost(facts.pod), facts.pod["spec"].get("tolerations") or ()
    for taint, age in facts.taints:
        seconds = taints.toleration_seconds(tolerations, taint)
        lost = taint["key"] in _LOST
        if meta.deleting(facts.pod):
            yield facts.given_up_in if lost else None
        elif seconds is None or (lost and policy == pods.KEEP):
            yield None
        elif lost and policy == pods.FENCE:
            yield max(seconds - age, facts.given_up_in)
        else:
            yield seconds - age


def _relevant(pod: Obj) -> tuple[object, ...]:
    wishes = pod["spec"].get("tolerations"), pods.on_node_lost(pod)
    return pods.node_name(pod), wishes, meta.deleting(pod), pods.is_terminal(pod)
