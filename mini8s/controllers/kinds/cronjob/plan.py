"""One cycle of a CronJob: facts in, actions out (`cronjob_controllerv2.go: syncCronJob`)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfoNotFoundError

from mini8s.controllers.actions import NORMAL, WARNING, Action, Create, Delete, Plan, Tell, Update, delete
from mini8s.controllers.kinds.cronjob.times import AFTER, Due, due, zone_of
from mini8s.objects import conditions, cron, meta
from mini8s.objects.errors import AlreadyExists, ApiError
from mini8s.objects.kinds import CRONJOBS, JOBS, Obj
from mini8s.objects.time import format_time

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_NEVER = "time difference between two schedules is less than 1 second"  # upstream's words for no time at all


@dataclass(frozen=True, slots=True)
class View:
    """`local`: the zone of schedules that name none."""

    cron_job: Obj
    jobs: tuple[Obj, ...]
    now: datetime
    local: tzinfo

    @property
    def spec(self) -> Obj:
        return dict(self.cron_job["spec"])

    @property
    def status(self) -> Obj:
        return self.cron_job.get("status") or {}

    @property
    def running(self) -> tuple[Obj, ...]:
        """Those of the schedule: one that a person made of the template runs beside them."""
        return tuple(job for job in self.jobs if not _ended(job) and SCHEDULED in meta.annotations(job))

    def tell(self, type: str, reason: str, message: str) -> Tell:
        return Tell(self.cron_job, type, reason, message)


@dataclass(frozen=True, slots=True)
class _Step:
    """What a cycle does about its schedule; `ran` is the time whose run it takes for done."""

    actions: tuple[Action, ...] = ()
    ran: datetime | None = None
    again_after: float | None = None
    said: str = ""


def plan(view: View) -> Plan:
    seen = _seen(view)
    step = _Step() if meta.deleting(view.cron_job) else _scheduled(view)
    status = _status(view, step)
    written = (
        (Update(CRONJOBS, view.cron_job | {"status": status}, "status"),) if status != view.status else ()
    )
    gone = () if meta.deleting(view.cron_job) else _history(view)
    return Plan((*seen, *step.actions, *written, *gone), step.again_after, step.said)


def _scheduled(view: View) -> _Step:
    stated = view.spec["schedule"]
    try:
        zone = zone_of(view.cron_job, view.local)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        why = f'invalid timeZone: "{view.spec["timeZone"]}": {error}'
        return _Step((view.tell(WARNING, "UnknownTimeZone", why),), said=why)
    if view.spec.get("suspend"):
        return _Step(said="suspended")
    try:
        schedule = cron.parse(stated)
    except ValueError as error:
        why = f'unparseable schedule: "{stated}" : {error}'
        return _Step((view.tell(WARNING, "UnparseableSchedule", why),), said=why)
    found = due(view.cron_job, schedule, zone, view.now)
    if found.next is None and found.run is None:
        why = f"invalid schedule: {stated} : {_NEVER}"
        return _Step((view.tell(WARNING, "InvalidSchedule", why),), said=why)
    return _due(view, found, zone)


def _due(view: View, found: Due, zone: tzinfo) -> _Step:
    again, said = None, "no further run"
    if found.next is not None:
        again = (found.next + AFTER - view.now).total_seconds()
        said = f"next run at {format_time(found.next)}"
    told: tuple[Action, ...] = ()
    if found.missed_many:
        why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        told = (view.tell(WARNING, "TooManyMissedTimes", why),)
    if found.run is None:
        return _Step((), None, again, said)
    if _is_done(view, found.run):
        return _Step((), found.run, again, said)
    if view.running and view.spec.get("concurrencyPolicy") == "Forbid":
        why = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return _Step((*told, view.tell(NORMAL, "JobAlreadyActive", why)), None, again, why)
    replaced = _deleted(view, view.running) if view.spec.get("concurrencyPolicy") == "Replace" else ()
    return _Step((*told, *replaced, *_started(view, found.run, zone)), found.run, again, said)


def _is_done(view: View, run: datetime) -> bool:
    last = view.status.get("lastScheduleTime")
    return last == format_time(run) or _name(view, run) in map(meta.name, view.jobs)


def _name(view: View, run: datetime) -> str:
    """One name for one time: whoever tries again finds that the Job is there."""
    return f"{meta.name(view.cron_job)}-{int(run.timestamp()) // 60}"


def _started(view: View, run: datetime, zone: tzinfo) -> tuple[Action, ...]:
    made = _job(view, run, zone)

    def refused(error: ApiError) -> tuple[Action, ...]:
        if isinstance(error, AlreadyExists):  # somebody else's: this run is theirs
            status = view.status | {"lastScheduleTime": format_time(run)}
            return (Update(CRONJOBS, view.cron_job | {"status": status}, "status"),)
        if any(cause.reason == "NamespaceTerminating" for cause in error.causes):
            return ()
        return (view.tell(WARNING, "FailedCreate", f"Error creating job: {error}"),)

    told = view.tell(NORMAL, "SuccessfulCreate", f"Created job {meta.name(made)}")
    return Create(JOBS, made, otherwise=refused), told


def _job(view: View, run: datetime, zone: tzinfo) -> Obj:
    template = copy.deepcopy(view.spec["jobTemplate"])
    place = zone if view.spec.get("timeZone") is not None else UTC
    shown = run.astimezone(place).isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata: Obj = {
        "name": _name(view, run),
        "namespace": meta.namespace(view.cron_job),
        "annotations": meta.annotations(template) | {SCHEDULED: shown},
        "ownerReferences": [meta.new_controller_ref(view.cron_job, CRONJOBS)],
    }
    if meta.labels(template):
        metadata["labels"] = meta.labels(template)
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": metadata,
        "spec": template["spec"],
    }


def _seen(view: View) -> tuple[Tell, ...]:
    """What became of the Jobs that were active, and which are new."""
    known = {ref["uid"]: ref for ref in view.status.get("active") or ()}
    there = {meta.uid(job) for job in view.jobs}
    told = [
        view.tell(NORMAL, "MissingJob", f"Active job went missing: {ref['name']}")
        for uid, ref in known.items()
        if uid not in there
    ]
    for job in view.jobs:
        name = meta.name(job)
        if meta.uid(job) in known and _ended(job):
            what = f"Saw completed job: {name}, condition: {_ended(job)}"
            told.append(view.tell(NORMAL, "SawCompletedJob", what))
        elif meta.uid(job) not in known and not _ended(job) and SCHEDULED not in meta.annotations(job):
            what = f"Saw a job that the controller did not create or forgot: {name}"
            told.append(view.tell(WARNING, "UnexpectedJob", what))
    return tuple(told)


def _status(view: View, step: _Step) -> Obj:
    gone = {action.uid for action in step.actions if isinstance(action, Delete)}
    active = [_reference(job) for job in view.running if meta.uid(job) not in gone]
    good = [job["status"].get("completionTime") for job in view.jobs if _ended(job) == "Complete"]
    last_good = max(filter(None, [*good, view.status.get("lastSuccessfulTime")]), default=None)
    last = format_time(step.ran) if step.ran else view.status.get("lastScheduleTime")
    return {
        **({"active": active} if active else {}),
        **({"lastScheduleTime": last} if last else {}),
        **({"lastSuccessfulTime": last_good} if last_good else {}),
    }


def _reference(job: Obj) -> Obj:
    """Without a version: who is meant does not change with what becomes of it."""
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "namespace": meta.namespace(job),
        "name": meta.name(job),
        "uid": meta.uid(job),
    }


def _history(view: View) -> tuple[Action, ...]:
    gone: list[Obj] = []
    limits = {"Complete": "successfulJobsHistoryLimit", "Failed": "failedJobsHistoryLimit"}
    for ended, field in limits.items():
        limit = view.spec.get(field)
        jobs = [job for job in view.jobs if _ended(job) == ended and not meta.deleting(job)]
        if limit is not None and len(jobs) > limit:
            gone += sorted(jobs, key=_begun)[: len(jobs) - limit]
    return _deleted(view, gone)


def _begun(job: Obj) -> tuple[str, str]:
    return (job.get("status") or {}).get("startTime") or "", meta.name(job)


def _deleted(view: View, jobs: Sequence[Obj]) -> tuple[Action, ...]:
    pairs = (
        (delete(JOBS, job), view.tell(NORMAL, "SuccessfulDelete", f"Deleted job {meta.name(job)}"))
        for job in jobs
        if not meta.deleting(job)
    )
    return tuple(action for pair in pairs for action in pair)


def _ended(job: Obj) -> str:
    """The condition by which a Job is over, "" while it isn't."""
    return next((kind for kind in ("Complete", "Failed") if conditions.is_true(job, kind)), "")
