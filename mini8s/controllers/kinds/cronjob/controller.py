"""What a CronJob watches: itself and its Jobs. In between its key sleeps on the queue until the next run."""

from __future__ import annotations

from mini8s.controllers.actions import NOTHING, Plan
from mini8s.controllers.base import Context, Source, by_object, controller_key, own_key
from mini8s.controllers.claims import INDEXERS
from mini8s.controllers.kinds.cronjob.plan import View, plan
from mini8s.objects import meta
from mini8s.objects.kinds import CRONJOBS, JOBS


class CronJobs:
    name = "cronjob"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cron_jobs = context.cache(CRONJOBS)
        self._jobs = context.cache(JOBS, INDEXERS)
        self.sources = (
            Source(CRONJOBS, by_object(own_key)),
            Source(JOBS, by_object(controller_key(CRONJOBS))),
        )

    def plan(self, key: str) -> Plan:
        cron_job = self._cron_jobs.get(*meta.split_key(key))
        if cron_job is None:
            return NOTHING
        jobs = tuple(self._jobs.index("controller", meta.uid(cron_job)))
        local = self._context.settings.local_zone
        return plan(View(cron_job, jobs, self._context.clock.now(), local))
