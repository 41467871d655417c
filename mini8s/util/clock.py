"""Time as a parameter: only the composition roots in `app/` know the real one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that only rise, for measuring and waiting."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def since_boot() -> float:
    """Seconds that only rise and that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class FakeClock:
    """A clock that tests set and step."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = now
        self._now = now
        self._set_by = timedelta()

    def now(self) -> datetime:
        return self._now + self._set_by

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def step(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the clock by so much; no time passes."""
        self._set_by += timedelta(seconds=seconds)


class Drift:
    """Notices that the wall clock and the one that only rises have come apart: somebody set the time, or the
    machine slept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart = self._now()

    def grew(self, seconds: float) -> bool:
        """Whether they came apart by more than this since they last did."""
        before, now = self._apart, self._now()
        if abs(now - before) <= seconds:
            return False
        self._apart = now
        return True

    def _now(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


class SteadyTime:
    """Wall time as it was when this was made, counted on by the clock that only rises. A pod's grace must not
    end because somebody set the host's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall, self._tick = clock.now(), clock.monotonic()

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=self._clock.monotonic() - self._tick)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def of_wall(self, when: datetime) -> datetime:
        """When that was. What the wall clock has in the future is taken for now: it was set back since."""
        return self.now() - max(timedelta(), self._clock.now() - when)

    def to_wall(self, when: datetime) -> datetime:
        """A steady time for somebody who reads it with another process's clock."""
        return self._clock.now() - (self.now() - when)
