"""What a Job watches: itself and its pods. A pod that is still tracked and has no Job (any more) is a stray:
it is let go, else it could never be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mini8s.client.cache import IndexFunction
from mini8s.controllers.actions import NOTHING, Action, Plan
from mini8s.controllers.base import Context, Source, by_object, controller_key, own_key
from mini8s.controllers.claims import INDEXERS, claim, confirm, matching_owners
from mini8s.controllers.kinds.job.plan import let_go, plan
from mini8s.controllers.kinds.job.view import FINALIZER, View, is_managed_elsewhere, is_tracked
from mini8s.objects import meta
from mini8s.objects.kinds import JOBS, PODS, Obj

_STRAY = "pod:"  # keys of pods whose Job is not known


def _tracked_for(pod: Obj) -> Iterable[str]:
    return controller_key(JOBS)(pod) if is_tracked(pod) else ()


_INDEXERS: Mapping[str, IndexFunction] = {**INDEXERS, "tracked for": _tracked_for}


class Jobs:
    name = "job"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._jobs = context.cache(JOBS)
        self._pods = context.cache(PODS, _INDEXERS)
        self.sources = (Source(JOBS, by_object(own_key)), Source(PODS, by_object(self._keys)))

    def plan(self, key: str) -> Plan:
        if key.startswith(_STRAY):
            pod = self._pods.get(*meta.split_key(key.removeprefix(_STRAY)))
            return Plan(let_go([pod])) if pod and _is_stray(pod) else NOTHING
        job = self._jobs.get(*meta.split_key(key))
        strays = let_go(pod for pod in self._pods.index("tracked for", key) if not _is_of(pod, job))
        if job is None or is_managed_elsewhere(job):
            return Plan(strays)
        claims = claim(job, self._pods)
        if claims.adopted:
            confirm(self._context.api, JOBS, job)
        patches: tuple[Action, ...] = (*strays, *claims.patches(job, JOBS, PODS, finalizer=FINALIZER))
        if patches:
            return Plan(patches)  # the news of them brings the key back
        view = View(job, claims.mine, self._context.clock.now())
        return plan(view, burst=self._context.settings.burst_replicas)

    def _keys(self, pod: Obj) -> Iterable[str]:
        if meta.controller_ref(pod):
            yield from controller_key(JOBS)(pod)
        elif not meta.deleting(pod):
            yield from matching_owners(pod, self._jobs)
        if _is_stray(pod):
            yield f"{_STRAY}{meta.key(pod)}"


def _is_stray(pod: Obj) -> bool:
    return is_tracked(pod) and not any(controller_key(JOBS)(pod))


def _is_of(pod: Obj, job: Obj | None) -> bool:
    ref = meta.controller_ref(pod)
    return job is not None and ref is not None and ref["uid"] == meta.uid(job)
