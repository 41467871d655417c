"""Rules of Jobs and CronJobs: pods that end."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mini8s.objects import cron, meta
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, invalid, not_supported, required, too_many
from mini8s.registry.rules import job_policies, pods, selectors, values, workloads

_RESTART = ("Never", "OnFailure")
_INDEXED = "Indexed"
_MOST_INDEXES = 100_000
_LONGEST_NAME = 52  # a CronJob's: eleven characters are left for the Job's
_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
    "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip


def job(found: Obj) -> Causes:
    spec = found["spec"]
    yield from _spec(spec, "spec")
    if spec.get("selector") is None:
        yield required("spec.selector")
        return
    yield from selectors.label_selector(spec["selector"], "spec.selector")
    made = meta.labels(spec.get("template") or {})
    if not workloads.selects(spec["selector"], made):
        yield invalid("spec.template.metadata.labels", made, "`selector` does not match template `labels`")


def job_update(new: Obj, old: Obj) -> Causes:
    """What a Job runs stays; while it is suspended and has not begun its template may change."""
    spec, was = new["spec"], old["spec"]
    fixed = ["selector", "completionMode", "podFailurePolicy", "successPolicy"]
    fixed += ["backoffLimitPerIndex", "managedBy"]
    if spec.get("completionMode") != _INDEXED or spec.get("completions") != spec.get("parallelism"):
        fixed.append("completions")
    if not was.get("suspend") or (old.get("status") or {}).get("startTime"):
        fixed.append("template")
    yield from values.unchanged(new, old, *(f"spec.{part}" for part in fixed))


def cron_job(found: Obj) -> Causes:
    spec = found["spec"]
    if len(meta.name(found)) > _LONGEST_NAME:
        why = f"must be no more than {_LONGEST_NAME} characters"
        yield invalid("metadata.name", meta.name(found), why)
    yield from _schedule(spec)
    counts = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    yield from values.all_non_negative(spec, "spec", *counts)
    policies = ("Allow", "Forbid", "Replace")
    yield from values.one_of(spec, "concurrencyPolicy", "spec", policies, must=True)
    yield from _zone(spec)
    field, inner = "spec.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {}
    yield from _spec(inner, field)
    if inner.get("selector") is not None:
        yield invalid(f"{field}.selector", inner["selector"], "`selector` will be auto-generated")
    if inner.get("manualSelector"):
        yield not_supported(f"{field}.manualSelector", True, ("nil", "false"))


def _spec(spec: Obj, field: str) -> Causes:
    yield from values.all_non_negative(spec, field, *_COUNTS)
    yield from values.one_of(spec, "completionMode", field, ("NonIndexed", _INDEXED))
    if spec.get("completionMode") == _INDEXED:
        yield from _indexes(spec, field)
    yield from values.one_of(spec, "podReplacementPolicy", field, ("Failed", "TerminatingOrFailed"))
    yield from job_policies.policies(spec, field)
    template = spec.get("template")
    if template is None:
        yield required(f"{field}.template")
        return
    yield from pods.template(template, f"{field}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy == "Always":
        where = f"{field}.template.spec.restartPolicy"
        yield required(where, 'valid values: "OnFailure", "Never"')
    elif policy not in _RESTART:
        yield not_supported(f"{field}.template.spec.restartPolicy", policy, _RESTART)


def _indexes(spec: Obj, field: str) -> Causes:
    if spec.get("completions") is None:
        why = f"when completion mode is {_INDEXED}"
        yield required(f"{field}.completions", why)
    for part in ("completions", "parallelism"):
        count = spec.get(part) or 0
        if count > _MOST_INDEXES:
            yield too_many(f"{field}.{part}", count, _MOST_INDEXES)


def _schedule(spec: Obj) -> Causes:
    stated = spec.get("schedule") or ""
    if not stated:
        yield required("spec.schedule")
        return
    if "TZ" in stated:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid("spec.schedule", stated, why)
        return
    try:
        cron.parse(stated)
    except ValueError as error:
        yield invalid("spec.schedule", stated, str(error))


def _zone(spec: Obj) -> Causes:
    zone = spec.get("timeZone")
    if zone is None:
        return
    if not zone:
        yield invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")
    elif zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid("spec.timeZone", zone, why)
    elif not _known(zone):
        yield invalid("spec.timeZone", zone, f"unknown time zone {zone}")


def _known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a path that leads astray, a folder
        return False
    return True
