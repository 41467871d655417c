"""What a Deployment watches: itself, its ReplicaSets, and, for Recreate, the end of its pods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mini8s.controllers.actions import NOTHING, WARNING, Plan, Tell
from mini8s.controllers.base import Context, Source, by_object, controller_key, own_key
from mini8s.controllers.claims import INDEXERS, claim, confirm, matching_owners, selector_of
from mini8s.controllers.kinds.deployment.plan import plan
from mini8s.controllers.kinds.deployment.revision import find_new
from mini8s.controllers.kinds.deployment.view import Sized, View, by_age
from mini8s.objects import meta, pods
from mini8s.objects.kinds import DEPLOYMENTS, PODS, REPLICASETS, Obj


class Deployments:
    name = "deployment"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._deployments = context.cache(DEPLOYMENTS)
        self._sets = context.cache(REPLICASETS, INDEXERS)
        self._pods = context.cache(PODS, INDEXERS)
        self.sources = (
            Source(DEPLOYMENTS, by_object(own_key)),
            Source(REPLICASETS, by_object(self._keys)),
            Source(PODS, self._of_last_pod),
        )

    def plan(self, key: str) -> Plan:
        deployment = self._deployments.get(*meta.split_key(key))
        if deployment is None:
            return NOTHING
        if selector_of(deployment).empty:
            what = "This deployment is selecting all pods. A non-empty selector is required."
            return Plan((Tell(deployment, WARNING, "SelectingAll", what),), said=what)
        claims = claim(deployment, self._sets)
        if claims.adopted:
            confirm(self._context.api, DEPLOYMENTS, deployment)
        patches = claims.patches(deployment, DEPLOYMENTS, REPLICASETS)
        if patches:
            return Plan(patches)  # the news of them brings the key back, with references as they are then
        return plan(self._view(deployment, claims.mine))

    def _view(self, deployment: Obj, sets: tuple[Obj, ...]) -> View:
        new = find_new(deployment, sets)
        old = tuple(_sized(one) for one in by_age(sets) if one is not new)
        view = View(deployment, _sized(new) if new else None, old, False, self._context.clock.now())
        return view if view.rolling else replace(view, old_pods=self._has_pods(old))

    def _has_pods(self, old: Iterable[Sized]) -> bool:
        found = (pod for one in old for pod in self._pods.index("controller", meta.uid(one.obj)))
        return any(not pods.is_terminal(pod) for pod in found)

    def _keys(self, replica_set: Obj) -> Iterable[str]:
        if meta.controller_ref(replica_set):
            return controller_key(DEPLOYMENTS)(replica_set)
        return () if meta.deleting(replica_set) else matching_owners(replica_set, self._deployments)

    def _of_last_pod(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Recreate waits for the last old pod to be gone, which no ReplicaSet tells: it counts none that is
        on its way out."""
        if old is None or new is not None:
            return ()
        ref = meta.controller_ref(old)
        owner = self._sets.get(meta.namespace(old), ref["name"]) if ref else None
        return controller_key(DEPLOYMENTS)(owner) if owner else ()


def _sized(obj: Obj) -> Sized:
    return Sized(obj, int(obj["spec"].get("replicas", 1)))
