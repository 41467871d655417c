"""Cron's five fields: `*/5 8-18 * * mon-fri`, and the names for common ones, as robfig/cron reads them.

Errors are its sentences, because people know them from upstream.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def parse(text: str) -> Schedule:
    """Raises ValueError."""
    if text.startswith("@") and text not in _NAMED:
        raise ValueError(f"unrecognized descriptor: {text}")
    parts = _NAMED.get(text, text).split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    minutes, hours, days, months, weekdays = (
        _values(part, field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    return Schedule(minutes, hours, days, months, weekdays, _star(parts[2]), _star(parts[4]))


def _star(part: str) -> bool:
    return part.startswith(("*", "?"))


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
