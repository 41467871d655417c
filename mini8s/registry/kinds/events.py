"""Events: what happened to whom, said by whoever saw it; forgotten after an hour (`registry.expiry`).

Stored as core/v1, and served as events.k8s.io/v1 too.
"""

from __future__ import annotations

from datetime import datetime

from mini8s.objects.kinds import EVENTS, EVENTS_V1, Obj
from mini8s.objects.time import age
from mini8s.registry.base import Column
from mini8s.registry.columns import NAME, column, converted
from mini8s.registry.rules import events
from mini8s.registry.strategy import Strategy, Update, selectable
from mini8s.registry.versions import events as as_v1

_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def last_seen(event: Obj) -> str | None:
    series = (event.get("series") or {}).get("lastObservedTime")
    said: str | None = series or event.get("lastTimestamp") or event.get("eventTime")
    return said or _first_seen(event)


def _first_seen(event: Obj) -> str | None:
    first: str | None = event.get("firstTimestamp") or event.get("eventTime")
    return first or event["metadata"].get("creationTimestamp")


def _seen(event: Obj, now: datetime) -> str:
    return age(last_seen(event), now)


def _first(event: Obj, now: datetime) -> str:
    return age(_first_seen(event), now)


def _object(event: Obj) -> str:
    about = event.get("involvedObject") or {}
    return f"{(about.get('kind') or '').lower()}/{about.get('name') or ''}"


def _source(event: Obj) -> str:
    source = event.get("source") or {}
    parts = (source.get("component") or event.get("reportingComponent"), source.get("host"))
    return ", ".join(part for part in parts if part)


def _count(event: Obj) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def _component(event: Obj) -> str:
    said = (event.get("source") or {}).get("component") or event.get("reportingComponent")
    return said or ""


STRATEGY = Strategy(
    kind=EVENTS,
    columns=(
        Column("Last Seen", _seen),
        column("Type", lambda obj: obj.get("type") or ""),
        column("Reason", lambda obj: obj.get("reason") or ""),
        column("Object", _object),
        column("Subobject", lambda obj: (obj.get("involvedObject") or {}).get("fieldPath") or "", wide=True),
        column("Source", _source, wide=True),
        column("Message", lambda obj: (obj.get("message") or "").strip()),
        Column("First Seen", _first, priority=1),
        column("Count", _count, type="integer", wide=True),
        Column(NAME.name, NAME.cell, format="name", priority=1),
    ),
    fields={
        **selectable(*(f"involvedObject.{part}" for part in _ABOUT), "reason", "type"),
        "source": _component,
        "reportingComponent": lambda obj: obj.get("reportingComponent") or "",
    },
    validate=events.check,
    create_on_update=True,
)
V1 = Strategy(
    kind=EVENTS_V1,
    columns=converted(STRATEGY.columns, as_v1.store),
    fields={
        "reason": STRATEGY.fields["reason"],
        "type": STRATEGY.fields["type"],
        "reportingController": STRATEGY.fields["reportingComponent"],
        **{f"regarding.{part}": STRATEGY.fields[f"involvedObject.{part}"] for part in _ABOUT},
    },
    validate_new=events.new_of_v1,
    update=Update(validate=events.change_of_v1),
)
