"""Which run of a schedule is due. Of several that were missed, because the cluster was off or the last run
was in the way, the newest is made up for; older ones are only counted.

A last run that lies in the future means that the clock was set back since: the schedule goes on from now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from mini8s.objects import cron
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

MANY = 100  # missed runs that are worth a word
AFTER = timedelta(milliseconds=100)  # a run is looked at just after its time, never just before it
_STEP = timedelta(minutes=1)  # clocks that are corrected by less than this were not set back
_WINDOWS = (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=370))


@dataclass(frozen=True, slots=True)
class Due:
    """`run`: the newest time that nobody ran at; `next`: the first that is yet to come, None for never."""

    run: datetime | None
    missed_many: bool
    next: datetime | None


def zone_of(cron_job: Obj, local: tzinfo) -> tzinfo:
    """Where its hours are meant. Raises ValueError, OSError or ZoneInfoNotFoundError for an unknown place."""
    stated = cron_job["spec"].get("timeZone")
    return local if stated is None else ZoneInfo(stated)


def due(cron_job: Obj, schedule: cron.Times, zone: tzinfo, now: datetime) -> Due:
    spec, since = cron_job["spec"], _since(cron_job, now)
    deadline, begin = spec.get("startingDeadlineSeconds"), since
    if deadline is not None:
        begin = max(since, now - timedelta(seconds=deadline))
    run = _newest(schedule, zone, begin, now) if begin <= now else None
    following = schedule.after(max(run or since, now), zone)
    many = run is not None and _more_than(MANY, schedule, zone, begin, now)
    return Due(run, many, following)


def _since(cron_job: Obj, now: datetime) -> datetime:
    last = (cron_job.get("status") or {}).get("lastScheduleTime")
    since = parse_time(last or cron_job["metadata"]["creationTimestamp"])
    return since if since <= now + _STEP else now - _STEP


def _newest(schedule: cron.Times, zone: tzinfo, begin: datetime, now: datetime) -> datetime | None:
    """The last time that is not in the future, looked for backwards in windows that grow."""
    if isinstance(schedule, cron.Every):
        return schedule.newest(begin, now)
    for window in (*_WINDOWS, now - begin):
        found = schedule.after(max(begin, now - window), zone)
        newest = None
        while found is not None and found <= now:
            newest, found = found, schedule.after(found, zone)
        if newest is not None or now - window <= begin:
            return newest
    return None


def _more_than(count: int, schedule: cron.Times, zone: tzinfo, begin: datetime, now: datetime) -> bool:
    when: datetime | None = begin
    for _ in range(count + 1):
        when = schedule.after(when, zone) if when else None
        if when is None or when > now:
            return False
    return True
