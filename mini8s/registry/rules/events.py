"""Rules of events: lenient with those of core/v1, strict with what is written as events.k8s.io/v1
(`pkg/apis/core/validation/events.go`). Fields have core/v1's names, as they are stored."""

from __future__ import annotations

from mini8s.objects import meta, names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, invalid, named, required

_CLUSTER = frozenset({"default", "kube-system"})  # where events about what has no namespace live
_NEEDED = ("reportingInstance", "action", "reason")
_LONGEST = {"reportingInstance": 128, "action": 128, "reason": 128, "message": 1024}
_OLD = ("firstTimestamp", "lastTimestamp", "count")  # what series took the place of
_FOR_GOOD = (
    "involvedObject",
    "reason",
    "message",
    "source",
    *_OLD,
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)


def check(event: Obj) -> Causes:
    """Every event. One with an eventTime is of the new style, and says who reports it and what was done."""
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    here, new_style = meta.namespace(event), bool(event.get("eventTime"))
    if (not about and here not in _CLUSTER) or (about and about != here and not new_style):
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")
    if not new_style:
        return
    controller = event.get("reportingComponent") or ""
    if not controller:
        yield required("reportingController")
    yield from named("reportingController", controller, names.qualified_name(controller))
    for part in _NEEDED:
        if not event.get(part):
            yield required(part)
    for part, most in _LONGEST.items():
        if len((event.get(part) or "").encode()) > most:
            yield invalid(part, "", f"can have at most {most} characters")


def new_of_v1(event: Obj) -> Causes:
    """One that is made as events.k8s.io/v1."""
    yield from _series(event)
    if not event.get("eventTime"):
        yield required("eventTime")
    if event.get("type") not in {"Normal", "Warning"}:
        yield invalid("type", "", f"has invalid value: {event.get('type') or ''}")
    for part in _OLD:
        if event.get(part):
            yield invalid(part, "", "needs to be unset")
    if any((event.get("source") or {}).values()):
        yield invalid("source", "", "needs to be unset")


def change_of_v1(new: Obj, old: Obj) -> Causes:
    """One that is changed as events.k8s.io/v1: only its series goes on."""
    if new.get("series") != old.get("series"):
        yield from _series(new)
    for part in _FOR_GOOD:
        if (new.get(part) or None) != (old.get(part) or None):
            field = "reportingController" if part == "reportingComponent" else part
            yield invalid(field, new.get(part), "field is immutable")


def _series(event: Obj) -> Causes:
    series = event.get("series")
    if series is None:
        return
    if (series.get("count") or 0) < 2:
        yield invalid("series.count", "", "should be at least 2")
    if not series.get("lastObservedTime"):
        yield required("series.lastObservedTime")
