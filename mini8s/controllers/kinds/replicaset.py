"""ReplicaSet and ReplicationController: as many pods of one template as they say.

They differ in nothing but their kind and in how a selector is written. Watches them and pods. A pod's key is
its controller's; a pod without one touches every one whose selector finds it. Pods that end or are on their
way out don't count, so a lost one is replaced at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers.actions import NOTHING, Burst, Create, Delete, Patch, Plan, delete, patch_status
from mini8s.controllers.base import Context, Source, by_object, controller_key, own_key
from mini8s.controllers.claims import (
    INDEXERS,
    Claims,
    claim,
    confirm,
    matching_owners,
    once_for_labels,
    selector_of,
)
from mini8s.controllers.ranking import first_to_go
from mini8s.controllers.template import pod_from
from mini8s.objects import conditions, meta, pods
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import PODS, REPLICASETS, REPLICATIONCONTROLLERS, Kind, Obj
from mini8s.objects.labels import Selector, from_labels

REPLICA_FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class Facts:
    """`on_node`: active pods of this ReplicaSet and of those with the same controller, by node; counted when
    there are too many."""

    replica_set: Obj
    claims: Claims
    on_node: Mapping[str, int]
    kind: Kind = REPLICASETS

    @property
    def active(self) -> tuple[Obj, ...]:
        return tuple(pod for pod in self.claims.mine if pods.is_active(pod))


class ReplicaSets:
    name = "replicaset"
    kind = REPLICASETS

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sets = context.cache(self.kind, INDEXERS)
        self._pods = context.cache(PODS, INDEXERS)
        self.sources = (Source(self.kind, by_object(own_key)), Source(PODS, by_object(self._keys)))

    def selector(self, owner: Obj) -> Selector:
        return selector_of(owner)

    def plan(self, key: str) -> Plan:
        replica_set = self._sets.get(*meta.split_key(key))
        if replica_set is None:
            return NOTHING
        claims = claim(replica_set, self._pods, self.selector(replica_set))
        if claims.adopted:
            confirm(self._context.api, self.kind, replica_set)
        many = len(claims.mine) > replica_set["spec"].get("replicas", 1)
        facts = Facts(replica_set, claims, self._on_node(replica_set) if many else {}, self.kind)
        return plan(facts, self._context.clock.now(), burst=self._context.settings.burst_replicas)

    def _keys(self, pod: Obj) -> Iterable[str]:
        if meta.controller_ref(pod):
            return controller_key(self.kind)(pod)
        return () if meta.deleting(pod) else matching_owners(pod, self._sets, self.selector)

    def _on_node(self, replica_set: Obj) -> Mapping[str, int]:
        ref = meta.controller_ref(replica_set)
        family = self._sets.index("controller", ref["uid"]) if ref else [replica_set]
        found = (pod for member in family for pod in self._pods.index("controller", meta.uid(member)))
        return Counter(pods.node_name(pod) for pod in found if pods.is_active(pod))


class ReplicationControllers(ReplicaSets):
    name = "replication"
    kind = REPLICATIONCONTROLLERS

    def selector(self, owner: Obj) -> Selector:
        return from_labels(owner["spec"].get("selector") or {})


def plan(facts: Facts, now: datetime, *, burst: int) -> Plan:
    replica_set, active = facts.replica_set, facts.active
    wanted = replica_set["spec"].get("replicas", 1)
    changes = () if meta.deleting(replica_set) else _changes(facts, active, now, burst)
    status = _status(replica_set, active, now)

    def refused(error: ApiError) -> tuple[Patch, ...]:
        reason = "FailedCreate" if len(active) < wanted else "FailedDelete"
        return patch_status(facts.kind, replica_set, _failed(replica_set, status, reason, str(error), now))

    return Plan(
        (
            *facts.claims.patches(replica_set, facts.kind, PODS),
            *((Burst(changes, refused),) if changes else ()),
            *patch_status(facts.kind, replica_set, status),
        ),
        _next_available(replica_set, active, now),
        f"{len(active)} of {wanted} pods, {status.get('availableReplicas', 0)} available",
    )


def _changes(facts: Facts, active: Sequence[Obj], now: datetime, burst: int) -> tuple[Create | Delete, ...]:
    replica_set = facts.replica_set
    missing = replica_set["spec"].get("replicas", 1) - len(active)
    if missing >= 0:
        pod = pod_from(replica_set["spec"]["template"], replica_set, facts.kind)
        return tuple(Create(PODS, pod, owner=replica_set) for _ in range(min(missing, burst)))
    gone = first_to_go(active, min(-missing, burst), facts.on_node, now)
    return tuple(delete(PODS, pod, owner=replica_set) for pod in gone)


def _status(replica_set: Obj, found: Sequence[Obj], now: datetime) -> Obj:
    """The status without a ReplicaFailure: a round that went well takes that away."""
    spec = replica_set["spec"]
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    labelled = once_for_labels(lambda has: labels.items() <= has.items())
    ready = [pod for pod in found if pods.is_ready(pod)]
    enough = spec.get("minReadySeconds") or 0
    counts = {
        "fullyLabeledReplicas": sum(map(labelled, found)),
        "readyReplicas": len(ready),
        "availableReplicas": sum(pods.is_available(pod, enough, now) for pod in ready)
        if enough
        else len(ready),
    }
    others = conditions.remove_condition(_conditions(replica_set), REPLICA_FAILURE)
    return {
        "replicas": len(found),
        **{field: count for field, count in counts.items() if count},
        "observedGeneration": meta.generation(replica_set),
        **({"conditions": others} if others else {}),
    }


def _failed(replica_set: Obj, status: Obj, reason: str, message: str, now: datetime) -> Obj:
    """The status that says what was refused; a failure that is known already is not written again."""
    known = conditions.get(replica_set, REPLICA_FAILURE)
    if known:
        return status | {"conditions": _conditions(replica_set)}
    failed = conditions.set_condition(
        _conditions(replica_set), REPLICA_FAILURE, "True", reason=reason, message=message, now=now
    )
    return status | {"conditions": failed}


def _conditions(replica_set: Obj) -> list[Obj]:
    return (replica_set.get("status") or {}).get("conditions") or []


def _next_available(replica_set: Obj, active: Iterable[Obj], now: datetime) -> float | None:
    """Seconds until the next ready pod has been ready long enough."""
    enough = replica_set["spec"].get("minReadySeconds") or 0
    return pods.soonest_available(active, enough, now)
