"""Pods that have a node and wait until their volumes are bound or made there.

A reservation is kept while what was written for the pod's claims stands. When it is taken back, as a
provisioner does that can't make the volume on that node, the pod looks for a node anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from mini8s.client.base import Api
from mini8s.client.informer import Informers
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES, Obj
from mini8s.scheduler.base import NodeState, PodFacts
from mini8s.scheduler.volumes import Storage, all_bound, claim_facts, writes

WAIT_SECONDS = 600.0  # kube-scheduler's bindTimeoutSeconds
SEEN_SECONDS = 5.0  # after this long our own writes must have come back


class State(Enum):
    NONE = auto()
    WAITS = auto()
    BOUND = auto()
    LOST = auto()  # it took too long, or was taken back


@dataclass(frozen=True, slots=True)
class _Reserved:
    node: str
    since: float


class Reservations:
    """`changed` is called when claims, volumes or classes change."""

    def __init__(self, api: Api, informers: Informers, changed: Callable[[], None]) -> None:
        self._api = api
        claims = informers.of(PERSISTENTVOLUMECLAIMS)
        volumes = informers.of(PERSISTENTVOLUMES)
        classes = informers.of(STORAGECLASSES)
        self._storage = Storage(
            claim=claims.cache.get,
            volume=lambda name: volumes.cache.get("", name),
            volumes=volumes.cache.list,
            storage_class=lambda name: classes.cache.get("", name),
        )
        self._lock = threading.Lock()  # guards the table, written by the cycle, the binders and the informer
        self._reserved: dict[str, _Reserved] = {}
        for informer in (claims, volumes, classes):
            informer.subscribe(lambda _old, _new: changed())

    def with_claims(self, pod: PodFacts) -> PodFacts:
        """The pod with what is known of its claims now."""
        return replace(pod, claims=claim_facts(pod, self._storage)) if pod.claim_names else pod

    def node(self, pod: PodFacts) -> str:
        with self._lock:
            found = self._reserved.get(pod.uid)
        return found.node if found else ""

    def state(self, pod: PodFacts, node: NodeState | None, now: float) -> State:
        """How far the pod is, which has its claims; `node` is the one reserved for it, if it is there."""
        with self._lock:
            found = self._reserved.get(pod.uid)
        if found is None:
            return State.NONE
        if node is None or any(one.refusal for one in pod.claims) or now - found.since > WAIT_SECONDS:
            return State.LOST
        if all_bound(pod.claims):
            return State.BOUND
        taken_back = now - found.since > SEEN_SECONDS and writes(pod, node)
        return State.LOST if taken_back else State.WAITS

    def reserve(self, pod: PodFacts, node: NodeState, now: float) -> None:
        """Write what binds the pod's claims. Raises ApiError."""
        with self._lock:
            self._reserved[pod.uid] = _Reserved(node.name, now)
        for write in writes(pod, node):
            metadata: Obj = write.patch.get("metadata") or {}
            seen = write.obj["metadata"]
            identity = {"uid": seen["uid"], "resourceVersion": seen["resourceVersion"]}
            change = write.patch | {"metadata": metadata | identity}
            self._api.patch(write.kind, seen.get("namespace", ""), seen["name"], change)

    def forget(self, uid: str) -> None:
        with self._lock:
            self._reserved.pop(uid, None)
