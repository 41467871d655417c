"""PURE: which snapshots have had their time. Those that somebody asked for stay until somebody deletes
them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mini8s.app.snapshots.base import ON_DEMAND, Named


def outdated(found: Iterable[Named], *, count: int, days: int, now: datetime) -> list[Named]:
    """Of each reason the newest `count` stay, unless they are older than `days` (0: of any age); the newest
    one of all stays in any case."""
    taken = sorted(found, key=lambda one: one.when, reverse=True)
    seen: dict[str, int] = {}
    gone = []
    for place, one in enumerate(taken):
        if one.why == ON_DEMAND:
            continue
        seen[one.why] = seen.get(one.why, 0) + 1
        old = bool(days) and now - one.when > timedelta(days=days)
        if place and (seen[one.why] > count or old):
            gone.append(one)
    return gone
