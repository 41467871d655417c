"""The part of an object's metadata that the server keeps, and clients may only read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time, parse_time
from mini8s.registry.strategy import Strategy

# What an update that leaves it out keeps, so that a manifest without it can be put.
_KEPT = ("namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_NOT_FOR_NEW = ("resourceVersion", "generation", "selfLink")


def begin(new: Obj, strategy: Strategy, namespace: str, uid: str, now: datetime) -> None:
    """Make the metadata of a new object; what a client said of the server's fields does not count."""
    said = new.get("metadata") or {}
    for field in (*_KEPT, *_NOT_FOR_NEW):
        said.pop(field, None)
    made: dict[str, Any] = {"name": "", **said}
    if strategy.kind.namespaced:
        made["namespace"] = namespace
    made["uid"] = uid
    made["creationTimestamp"] = format_time(now)
    if strategy.generation:
        made["generation"] = 1
    new["metadata"] = made


def carry(new: Obj, old: Obj) -> None:
    """Give an update the server's fields of what it replaces; a deletion that has begun stays begun."""
    said, was = new["metadata"], old["metadata"]
    said.pop("selfLink", None)
    for field in _KEPT:
        if field in was and not said.get(field):
            said[field] = was[field]
    if meta.deleting(old):
        said["deletionTimestamp"] = was["deletionTimestamp"]
    said["resourceVersion"] = was["resourceVersion"]


def begin_deletion(obj: Obj, now: datetime, grace: int | None) -> None:
    """Mark as being deleted: gone when the grace is over and no finalizer is left."""
    said = obj["metadata"]
    if not meta.deleting(obj):
        said["deletionTimestamp"] = format_time(now + timedelta(seconds=grace or 0))
        if said.get("generation"):
            said["generation"] += 1
    if grace is not None:
        said["deletionGracePeriodSeconds"] = grace


def shorten_grace(obj: Obj, grace: int) -> None:
    """A second deletion may only bring the end nearer."""
    said = obj["metadata"]
    earlier = timedelta(seconds=grace - said["deletionGracePeriodSeconds"])
    said["deletionTimestamp"] = format_time(parse_time(said["deletionTimestamp"]) + earlier)
    said["deletionGracePeriodSeconds"] = grace


def ready_to_go(new: Obj, old: Obj, strategy: Strategy) -> bool:
    """Whether an update takes away the last thing that a deletion waits for."""
    return (
        meta.deleting(old)
        and not meta.finalizers(new)
        and not old["metadata"].get("deletionGracePeriodSeconds")
        and strategy.finished(new)
    )


def count_generation(new: Obj, old: Obj, strategy: Strategy) -> None:
    """A generation rises when what is wanted changes, never because a client says so."""
    before = meta.generation(old)
    new["metadata"].pop("generation", None)
    if strategy.generation:
        changed = strategy.generation(new) != strategy.generation(old)
        new["metadata"]["generation"] = before + 1 if changed else before
