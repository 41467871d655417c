"""What a StatefulSet watches: itself, its pods, its revisions, and the claims of its pods."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.controllers import history
from mini8s.controllers.actions import NOTHING, Plan
from mini8s.controllers.base import Context, Source, by_object, controller_key, own_key
from mini8s.controllers.claims import INDEXERS, claim, confirm, matching_owners
from mini8s.controllers.kinds.statefulset import identity
from mini8s.controllers.kinds.statefulset.plan import plan
from mini8s.controllers.kinds.statefulset.view import View
from mini8s.objects import meta
from mini8s.objects.kinds import CONTROLLERREVISIONS, PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS, Obj

REVISION_LABEL = "controller.kubernetes.io/hash"


class StatefulSets:
    name = "statefulset"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sets = context.cache(STATEFULSETS)
        self._pods = context.cache(PODS, INDEXERS)
        self._revisions = context.cache(CONTROLLERREVISIONS, INDEXERS)
        self._claims = context.cache(PERSISTENTVOLUMECLAIMS)
        self.sources = (
            Source(STATEFULSETS, by_object(own_key)),
            Source(PODS, by_object(self._keys)),
            Source(CONTROLLERREVISIONS, by_object(controller_key(STATEFULSETS))),
            Source(PERSISTENTVOLUMECLAIMS, self._claim_gone),
        )

    def plan(self, key: str) -> Plan:
        owner = self._sets.get(*meta.split_key(key))
        if owner is None:
            return NOTHING
        mine = claim(
            owner, self._pods, fits=lambda pod: identity.number_of(owner, meta.name(pod)) is not None
        )
        known = claim(owner, self._revisions)
        if mine.adopted or known.adopted:
            confirm(self._context.api, STATEFULSETS, owner)
        patches = (
            *known.patches(owner, STATEFULSETS, CONTROLLERREVISIONS),
            *mine.patches(owner, STATEFULSETS, PODS),
        )
        if patches:
            return Plan(patches)  # the news of them brings the key back, with references as they are then
        step = history.recorded(owner, STATEFULSETS, known.mine, label=REVISION_LABEL)
        if step.update is None:
            return NOTHING if meta.deleting(owner) else Plan(step.actions)
        view = self._view(owner, mine.mine, known.mine, step.update)
        return plan(view, known.mine, burst=self._context.settings.burst_replicas)

    def _view(self, owner: Obj, pods: tuple[Obj, ...], revisions: tuple[Obj, ...], update: Obj) -> View:
        named = (owner.get("status") or {}).get("currentRevision")
        current = next((one for one in revisions if meta.name(one) == named), update)
        numbered = {
            number: pod for pod in pods if (number := identity.number_of(owner, meta.name(pod))) is not None
        }
        found = {
            meta.name(one): one
            for one in self._claims.list(meta.namespace(owner))
            if identity.number_of_claim(owner, meta.name(one)) is not None
        }
        return View(owner, numbered, found, current, update, self._context.clock.now())

    def _keys(self, pod: Obj) -> Iterable[str]:
        if meta.controller_ref(pod):
            return controller_key(STATEFULSETS)(pod)
        return () if meta.deleting(pod) else matching_owners(pod, self._sets)

    def _claim_gone(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """A claim that goes may be what a new pod waits for, or what a pending one lacks."""
        if old is None or (new is not None and meta.owners(old) == meta.owners(new)):
            return
        for owner in self._sets.list(meta.namespace(old)):
            if identity.number_of_claim(owner, meta.name(old)) is not None:
                yield meta.key(owner)
