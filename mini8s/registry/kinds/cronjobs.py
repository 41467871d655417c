"""CronJobs: a Job at each of the times of a schedule."""

from __future__ import annotations

from datetime import datetime

from mini8s.objects.kinds import CRONJOBS, Obj
from mini8s.objects.time import age
from mini8s.registry import columns
from mini8s.registry.base import Column
from mini8s.registry.columns import AGE, NAME, NONE, column, spec, status
from mini8s.registry.rules import jobs
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status
from mini8s.registry.strategy import spec as spec_of


def _job_spec(found: Obj) -> Obj:
    return (spec(found).get("jobTemplate") or {}).get("spec") or {}


def _pod_spec(found: Obj) -> Obj:
    return (_job_spec(found).get("template") or {}).get("spec") or {}


def _last(found: Obj, now: datetime) -> str:
    said = status(found).get("lastScheduleTime")
    return age(said, now) if said else NONE


STRATEGY = Strategy(
    kind=CRONJOBS,
    columns=(
        NAME,
        column("Schedule", lambda obj: spec(obj).get("schedule") or ""),
        column("Timezone", lambda obj: spec(obj).get("timeZone") or NONE),
        column("Suspend", lambda obj: columns.flag(spec(obj).get("suspend"))),
        column("Active", lambda obj: len(status(obj).get("active") or ()), type="integer"),
        Column("Last Schedule", _last),
        AGE,
        *columns.containers(_pod_spec),
        column("Selector", lambda obj: columns.selector(_job_spec(obj).get("selector")), wide=True),
    ),
    prepare_for_create=empty_status,
    validate=jobs.cron_job,
    update=Update(keep_status),
    subresources=STATUS,
    generation=spec_of,
)
