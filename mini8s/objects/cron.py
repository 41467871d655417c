"""Cron's five fields: `*/5 8-18 * * mon-fri`, the names for common ones, and `@every 90m`, as robfig/cron has
it.

Errors are its sentences, because people know them from upstream. Hours are a place's own: one that a change
of the clocks skips does not come, one that comes twice counts twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


_EVERY = "@every "
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_YEARS = 5  # a schedule that does not come within them never does


class Times(Protocol):
    """Points in time that come again and again."""

    def after(self, when: datetime, zone: tzinfo) -> datetime | None:
        """The first one later than `when`, in UTC; None for never."""


@dataclass(frozen=True, slots=True)
class _Field:
    low: int
    high: int
    names: dict[str, int]


_FIELDS = (
    _Field(0, 59, {}),
    _Field(0, 23, {}),
    _Field(1, 31, {}),
    _Field(1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field(0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values at which each field holds. `any_day` and `any_weekday`: the field was a star, so that the
    other one of the two decides alone."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def after(self, when: datetime, zone: tzinfo) -> datetime | None:
        at = when.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        end = at + timedelta(days=366 * _YEARS)
        while at <= end:
            local = at.astimezone(zone)
            if local.month not in self.months:
                at = max(_month_after(local), at + _HOUR)
            elif not self._has_day(local):
                at = max(_day_after(local), at + _HOUR)
            elif local.hour in self.hours and local.minute in self.minutes:
                return at
            else:
                at += self._to_next_minute(local)
        return None

    def _has_day(self, local: datetime) -> bool:
        """Of two days that are both said either will do."""
        day, weekday = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday

    def _to_next_minute(self, local: datetime) -> timedelta:
        """Within the hour if it is one, else to its end: clocks change at the ends of hours or halves."""
        later = [minute for minute in (*self.minutes, 30) if local.minute < minute]
        known = local.hour in self.hours and later
        return timedelta(minutes=(min(later) if known else 60) - local.minute)


@dataclass(frozen=True, slots=True)
class Every:
    """Again after so many whole seconds, whatever the clock says."""

    seconds: int

    def after(self, when: datetime, zone: tzinfo) -> datetime | None:  # noqa: ARG002 - the same everywhere
        return when.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=self.seconds)

    def newest(self, since: datetime, now: datetime) -> datetime | None:
        """The last one that has come by now, counted from `since`."""
        times = int((now - since.replace(microsecond=0)).total_seconds() // self.seconds)
        return since.replace(microsecond=0) + timedelta(seconds=times * self.seconds) if times > 0 else None


def parse(text: str) -> Schedule | Every:
    """Raises ValueError."""
    if text.startswith(_EVERY):
        return Every(max(1, int(_duration(text.removeprefix(_EVERY)))))
    if text.startswith("@") and text not in _NAMED:
        raise ValueError(f"unrecognized descriptor: {text}")
    parts = _NAMED.get(text, text).split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    minutes, hours, days, months, weekdays = (
        _values(part, field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    return Schedule(minutes, hours, days, months, weekdays, _star(parts[2]), _star(parts[4]))


def _month_after(local: datetime) -> datetime:
    """The first moment of the next month there."""
    first = local.replace(day=1, hour=0, minute=0, fold=0)
    year, month = (first.year + 1, 1) if first.month == 12 else (first.year, first.month + 1)
    return first.replace(year=year, month=month).astimezone(UTC)


def _day_after(local: datetime) -> datetime:
    return (local.replace(hour=0, minute=0, fold=0) + timedelta(days=1)).astimezone(UTC)


def _duration(text: str) -> float:
    """Seconds of what Go writes as `1h30m`."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(found[0] for found in parts) != text:
        raise ValueError(f'failed to parse duration {_EVERY}{text}: time: invalid duration "{text}"')
    return sum(float(found[1]) * _UNITS[found[2]] for found in parts)


def _star(part: str) -> bool:
    """A step makes a choice of a star (since version 3 of robfig/cron)."""
    return any(item in {"*", "?", "*/1", "?/1"} for item in part.split(","))


def _values(part: str, field: _Field) -> frozenset[int]:
    return frozenset(value for item in part.split(",") for value in _range(item, field))


def _range(item: str, field: _Field) -> range:
    """`*`, `5`, `1-5`, each with `/STEP`; `5/10` is from 5 to the end."""
    span, slash, step_text = item.partition("/")
    first, dash, last = span.partition("-")
    if "/" in step_text:
        raise ValueError(f"too many slashes: {item}")
    if "-" in last:
        raise ValueError(f"too many hyphens: {item}")
    if span in {"*", "?"}:
        start, end = field.low, field.high
    else:
        start = _number(first, field)
        end = _number(last, field) if dash else field.high if slash else start
    step = _number(step_text, _Field(0, field.high, {})) if slash else 1
    _check(item, start, end, step, field)
    return range(start, end + 1, step)


def _check(item: str, start: int, end: int, step: int, field: _Field) -> None:
    if start < field.low:
        raise ValueError(f"beginning of range ({start}) below minimum ({field.low}): {item}")
    if end > field.high:
        raise ValueError(f"end of range ({end}) above maximum ({field.high}): {item}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {item}")
    if not step:
        raise ValueError(f"step of range should be a positive number: {item}")


def _number(text: str, field: _Field) -> int:
    known = field.names.get(text.lower())
    if known is not None:
        return known
    if not text.isascii() or not text.isdigit():
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
