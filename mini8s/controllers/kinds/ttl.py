"""Finished Jobs that say how long they are to be kept go when that time is over, and their pods with them
(`ttlafterfinished_controller.go`, KEP-592)."""

from __future__ import annotations

from datetime import datetime

from mini8s.controllers.actions import NOTHING, Delete, Plan
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import conditions, meta
from mini8s.objects.kinds import JOBS, Obj
from mini8s.objects.time import parse_time


class TtlAfterFinished:
    name = "ttl-after-finished"

    def __init__(self, context: Context) -> None:
        self._jobs = context.cache(JOBS)
        self._clock = context.clock
        self.sources = (Source(JOBS, by_object(own_key)),)

    def plan(self, key: str) -> Plan:
        job = self._jobs.get(*meta.split_key(key))
        return plan(job, self._clock.now()) if job else NOTHING


def plan(job: Obj, now: datetime) -> Plan:
    """A Job that ended in what is the future by now ended just now; it goes only as it was seen, for its
    owner may have changed the time meanwhile."""
    ttl, ended = job["spec"].get("ttlSecondsAfterFinished"), _finished(job)
    if ttl is None or ended is None or meta.deleting(job):
        return NOTHING
    left = ttl - max(0.0, (now - ended).total_seconds())
    if left > 0:
        return Plan(again_after=left)
    version = job["metadata"]["resourceVersion"]
    gone = Delete(
        JOBS,
        meta.namespace(job),
        meta.name(job),
        meta.uid(job),
        version=version,
        propagation="Foreground",
    )
    return Plan((gone,))


def _finished(job: Obj) -> datetime | None:
    said = (conditions.get(job, kind) for kind in ("Complete", "Failed") if conditions.is_true(job, kind))
    when = next((found.get("lastTransitionTime") for found in said if found), None)
    return parse_time(when) if when else None
