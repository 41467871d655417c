"""Cron schedules as people write them, and what is said of those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects import cron


def test_fields() -> None:
    found = cron.parse("*/20 8-10,22 1 jan-mar Mon,5")
    assert (found.minutes, found.hours, found.days) == ({0, 20, 40}, {8, 9, 10, 22}, {1})
    assert (found.months, found.weekdays) == ({1, 2, 3}, {1, 5})
    assert (found.any_day, found.any_weekday) == (False, False)
    assert cron.parse("5/20 ? * * *").minutes == {5, 25, 45}


def test_names() -> None:
    assert cron.parse("@daily") == cron.parse("0 0 * * *")
    assert cron.parse("@hourly").any_day


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("@often", "unrecognized descriptor: @often"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("-1 * * * *", 'failed to parse int from : strconv.Atoi: parsing "": invalid syntax'),
    ],
)
def test_what_is_no_schedule(text: str, said: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  its text is compared
        cron.parse(text)
    assert str(refused.value) == said


@given(st.text("0123456789*/-,? @abjan", max_size=20))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    try:
        found = cron.parse(text)
    except ValueError:
        return
    assert all((found.minutes, found.hours, found.days, found.months, found.weekdays))
