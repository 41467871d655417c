"""Forgetting events: an hour after they were last seen, and the oldest when there are too many."""

from __future__ import annotations

from datetime import datetime, timedelta

from mini8s.objects import meta
from mini8s.objects.errors import Conflict, NotFound
from mini8s.objects.kinds import EVENTS, Obj
from mini8s.objects.time import parse_time
from mini8s.registry.base import Context, DeleteOptions, ListOptions, User
from mini8s.registry.delete import Deleter
from mini8s.registry.kinds.events import last_seen
from mini8s.registry.read import Reader
from mini8s.wire.codec import decode_json

LIFETIME = timedelta(hours=1)  # upstream's --event-ttl
MOST = 5000  # about 4 MB of events
_NOBODY = User("system:mini8s:expiry")


def expire(reader: Reader, deleter: Deleter, now: datetime) -> int:
    """How many events went."""
    events = [decode_json(value) for value in reader.list(EVENTS, "", ListOptions()).items]
    events.sort(key=_age_key)
    surplus = max(0, len(events) - MOST)
    old = [event for index, event in enumerate(events) if index < surplus or _is_old(event, now)]
    for event in old:
        _forget(deleter, event, now)
    return len(old)


def _age_key(event: Obj) -> str:
    return last_seen(event) or ""


def _is_old(event: Obj, now: datetime) -> bool:
    seen = last_seen(event)
    return seen is not None and now - parse_time(seen) > LIFETIME


def _forget(deleter: Deleter, event: Obj, now: datetime) -> None:
    options = DeleteOptions(resource_version=event["metadata"]["resourceVersion"])
    try:
        deleter.delete(Context(_NOBODY, now), EVENTS, meta.namespace(event), meta.name(event), options)
    except (NotFound, Conflict):  # gone already, or seen again just now
        return
