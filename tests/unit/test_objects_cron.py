"""Cron schedules as people write them, and what is said of those that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects import cron


def schedule(text: str) -> cron.Schedule:
    found = cron.parse(text)
    assert isinstance(found, cron.Schedule)
    return found


def test_fields() -> None:
    found = schedule("*/20 8-10,22 1 jan-mar Mon,5")
    assert (found.minutes, found.hours, found.days) == ({0, 20, 40}, {8, 9, 10, 22}, {1})
    assert (found.months, found.weekdays) == ({1, 2, 3}, {1, 5})
    assert (found.any_day, found.any_weekday) == (False, False)
    assert schedule("5/20 ? * * *").minutes == {5, 25, 45}


def test_names() -> None:
    assert cron.parse("@daily") == cron.parse("0 0 * * *")
    assert schedule("@hourly").any_day


def test_a_star_with_a_step_is_a_choice() -> None:
    assert schedule("* * */1,5 * *").any_day
    assert not schedule("* * */2 * *").any_day


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
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
    if isinstance(found, cron.Schedule):
        assert all((found.minutes, found.hours, found.days, found.months, found.weekdays))


NEW_YORK, LORD_HOWE = "America/New_York", "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("text", "place", "since", "then"),
    [
        ("*/15 * * * *", "UTC", "2026-01-01T00:00:00+00:00", "2026-01-01T00:15:00+00:00"),
        ("*/15 * * * *", "UTC", "2026-01-01T00:14:59+00:00", "2026-01-01T00:15:00+00:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("0 0 30 2 *", "UTC", "2026-01-01T00:00:00+00:00", None),
        ("30 8 13 * fri", "UTC", "2026-01-01T00:00:00+00:00", "2026-01-02T08:30:00+00:00"),
        ("30 8 13 * *", "UTC", "2026-01-14T00:00:00+00:00", "2026-02-13T08:30:00+00:00"),
        ("0 12 * * *", "Asia/Kolkata", "2026-01-01T06:30:00+00:00", "2026-01-02T06:30:00+00:00"),
        ("59 23 31 12 *", NEW_YORK, "2026-12-31T23:00:00-05:00", "2026-12-31T23:59:00-05:00"),
        # the night in which clocks go forward: what is skipped does not come
        ("30 2 * * *", NEW_YORK, "2026-03-07T03:00:00-05:00", "2026-03-09T02:30:00-04:00"),
        ("30 2 8 3 *", NEW_YORK, "2026-03-08T00:00:00-05:00", "2027-03-08T02:30:00-05:00"),
        ("0 * * * *", NEW_YORK, "2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"),
        # the night in which they go back: what comes twice counts twice
        ("0 1 * * *", NEW_YORK, "2026-11-01T00:00:00-04:00", "2026-11-01T01:00:00-04:00"),
        ("0 1 * * *", NEW_YORK, "2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"),
        ("0 1 * * *", NEW_YORK, "2026-11-01T01:00:00-05:00", "2026-11-02T01:00:00-05:00"),
        # by half an hour
        ("45 1 * * *", LORD_HOWE, "2026-04-05T01:45:00+11:00", "2026-04-05T01:45:00+10:30"),
        ("15 2 * * *", LORD_HOWE, "2026-10-04T00:00:00+10:30", "2026-10-05T02:15:00+11:00"),
        # at midnight
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00:00-04:00", "2026-09-07T00:00:00-03:00"),
        ("@every 1h30m", "UTC", "2026-01-01T00:00:00.7+00:00", "2026-01-01T01:30:00+00:00"),
    ],
)
def test_when_it_comes_next(text: str, place: str, since: str, then: str | None) -> None:
    found = cron.parse(text).after(datetime.fromisoformat(since), ZoneInfo(place))
    assert found == (datetime.fromisoformat(then) if then else None)


@given(st.sampled_from([NEW_YORK, LORD_HOWE, "UTC"]), st.integers(0, 366 * 1440), st.integers(0, 59))
def test_it_leaves_nothing_out(place: str, start: int, minute: int) -> None:
    """Against a walk from minute to minute."""
    zone, when = ZoneInfo(place), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=start)
    found = schedule(f"{minute} */2 * * *").after(when, zone)
    walk = when + timedelta(minutes=1)
    while (walk.astimezone(zone).hour % 2, walk.astimezone(zone).minute) != (0, minute):
        walk += timedelta(minutes=1)
    assert found == walk
