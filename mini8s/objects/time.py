"""Times as the API writes them, and durations as people read them.

`metav1.Time` has whole seconds, `metav1.MicroTime` (leases, events) six digits; both are UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_CANONICAL_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 86400 * 365


def format_time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def format_micro(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, whatever its fraction; digits beyond a microsecond are cut. Raises ValueError."""
    found = _RFC3339.fullmatch(text)
    if not found:
        raise ValueError(f'cannot parse "{text}" as a time such as 2026-01-01T00:00:00Z')
    day, clock, fraction, zone = found.groups()
    zone = "+00:00" if zone in {"Z", "z"} else zone
    return datetime.fromisoformat(f"{day}T{clock}{zone}") + timedelta(
        microseconds=int((fraction or "0").ljust(6, "0")[:6])
    )


def canonical(text: str, *, micro: bool = False) -> str:
    """The same time as the API writes it. Raises ValueError."""
    form = _CANONICAL_MICRO if micro else _CANONICAL
    if form.fullmatch(text):
        return text
    when = parse_time(text)
    try:
        return format_micro(when) if micro else format_time(when)
    except OverflowError:
        raise ValueError(f'"{text}" is out of range in UTC') from None


def human_duration(seconds: float) -> str:
    """kubectl's AGE (`duration.HumanDuration`): two units near the small end of each range, else one."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def age(timestamp: str | None, now: datetime) -> str:
    """How long ago a timestamp of the API was; `<unknown>` for none."""
    return human_duration((now - parse_time(timestamp)).total_seconds()) if timestamp else "<unknown>"


def _two(seconds: int, unit: int, letter: str, small: int, small_letter: str) -> str:
    count, rest = divmod(seconds, unit)
    return f"{count}{letter}{rest // small}{small_letter}" if rest // small else f"{count}{letter}"
