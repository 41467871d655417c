"""Events of events.k8s.io/v1: the same fields under other names."""

from __future__ import annotations

from mini8s.objects.kinds import Obj

_SHOWN_AS = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_STORED_AS = {shown: stored for stored, shown in _SHOWN_AS.items()}


def show(event: Obj) -> Obj:
    return {_SHOWN_AS.get(part, part): value for part, value in event.items()}


def store(event: Obj) -> Obj:
    return {_STORED_AS.get(part, part): value for part, value in event.items()}
