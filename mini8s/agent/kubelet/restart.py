"""PURE: when a container may be started again, computed from the engine's own records.

The delay that an attempt ran under is a label on its container, so an agent that was restarted goes on where
the last one was. Figures are the kubelet's: at once, then 10 s, 20 s … 5 min; a run of ten minutes clears it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mini8s.agent.kubelet import notes
from mini8s.agent.runtime.records import Container
from mini8s.objects.time import parse_time

FIRST_SECONDS = 10
MOST_SECONDS = 300
CLEARED_BY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class NextStart:
    """The attempt to come, the delay that its end will bring, and how long to wait before it."""

    attempt: int
    backoff_seconds: int
    delay_seconds: int  # the whole back-off, as messages say it
    wait_seconds: float  # what is left of it


def next_start(
    last: Container | None, spec_hash: str, now: datetime, ended: Mapping[str, datetime]
) -> NextStart:
    """`ended` tells when containers ended by the clock that `now` is of; what it doesn't know has the
    engine's time."""
    if last is None:
        return NextStart(0, 0, 0, 0.0)
    delay = _delay(last, spec_hash, ended_at(last))
    left = max(0.0, delay - (now - ended.get(last.id, ended_at(last))).total_seconds())
    return NextStart(last.attempt + 1, min(MOST_SECONDS, max(FIRST_SECONDS, 2 * delay)), delay, left)


def ended_at(container: Container) -> datetime:
    """A container that could not be started ended when it was made."""
    return parse_time(container.finished_at or container.created_at)


def _delay(last: Container, spec_hash: str, ended: datetime) -> int:
    if last.labels.get(notes.SPEC_HASH) != spec_hash:
        return 0
    if last.started_at and (ended - parse_time(last.started_at)).total_seconds() >= CLEARED_BY_SECONDS:
        return 0
    return notes.number(last.labels, notes.BACKOFF, 0)


def go_duration(seconds: int) -> str:
    """10s, 1m20s, 5m0s: as Go prints a duration, and so as people search for it."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
