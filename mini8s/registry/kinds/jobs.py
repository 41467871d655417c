"""Jobs: pods that run until enough of them have ended well."""

from __future__ import annotations

from datetime import datetime

from mini8s.objects import conditions, meta
from mini8s.objects.kinds import JOBS, Obj
from mini8s.objects.time import human_duration, parse_time
from mini8s.registry import columns
from mini8s.registry.base import Column
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import jobs
from mini8s.registry.strategy import STATUS, Strategy, Update, keep_status
from mini8s.registry.strategy import spec as spec_of

_UID, _NAME = "controller-uid", "job-name"
_PREFIX = "batch.kubernetes.io/"
_LATER_WORDS = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def _begin(new: Obj) -> None:
    """A Job finds its pods by its own uid, so that no two Jobs meet; unless it brings a selector."""
    new["status"] = {}
    found = new["spec"]
    template = found.setdefault("template", {})
    if found.get("manualSelector"):
        return
    uid, name = meta.uid(new), meta.name(new)
    own = {_UID: uid, _NAME: name, f"{_PREFIX}{_UID}": uid, f"{_PREFIX}{_NAME}": name}
    template["metadata"] = (template.get("metadata") or {}) | {"labels": meta.labels(template) | own}
    if not found.get("selector"):
        found["selector"] = {"matchLabels": {f"{_PREFIX}{_UID}": uid}}


def _keep(new: Obj, old: Obj) -> None:
    """A Job's own manifest can be put again: what was made for it stays."""
    keep_status(new, old)
    now, was = new["spec"], old["spec"]
    if "selector" not in now and "selector" in was:
        now["selector"] = was["selector"]
        template = now.setdefault("template", {})
        made = {
            key: value
            for key, value in meta.labels(was["template"]).items()
            if key.removeprefix(_PREFIX) in {_UID, _NAME}
        }
        template["metadata"] = (template.get("metadata") or {}) | {"labels": meta.labels(template) | made}


def _word(job: Obj) -> str:
    if conditions.is_true(job, "Complete"):
        return "Complete"
    if conditions.is_true(job, "Failed"):
        return "Failed"
    if meta.deleting(job):
        return "Terminating"
    return next((word for word in _LATER_WORDS if conditions.is_true(job, word)), "Running")


def _completions(job: Obj) -> str:
    done, wanted = status(job).get("succeeded", 0), spec(job).get("completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    side_by_side = spec(job).get("parallelism") or 0
    return f"{done}/1 of {side_by_side}" if side_by_side > 1 else f"{done}/1"


def _duration(job: Obj, now: datetime) -> str:
    started, ended = status(job).get("startTime"), status(job).get("completionTime")
    if not started:
        return ""
    until = parse_time(ended) if ended else now
    return human_duration((until - parse_time(started)).total_seconds())


STRATEGY = Strategy(
    kind=JOBS,
    columns=(
        NAME,
        column("Status", _word),
        column("Completions", _completions),
        Column("Duration", _duration),
        AGE,
        *columns.containers(columns.template_spec),
        column("Selector", lambda obj: columns.selector(spec(obj).get("selector")), wide=True),
    ),
    fields={"status.successful": lambda job: str(status(job).get("succeeded", 0))},
    prepare_for_create=_begin,
    validate=jobs.job,
    update=Update(_keep, jobs.job_update),
    subresources=STATUS,
    generation=spec_of,
    orphans=True,  # as in its first version, for those who rely on it
)
