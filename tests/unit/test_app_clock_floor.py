"""A clock that stands in 1970 at boot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mini8s.app import clock_floor

SEEN = 1_790_000_000.0  # 2026


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, when in (
        ("server/tls/ca.crt", SEEN - 9),
        ("agent/state/journal", SEEN),
        ("other/file", SEEN + 9),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (when, when))
    for path in (tmp_path, *tmp_path.rglob("*")):
        if path.is_dir():
            os.utime(path, (SEEN - 99, SEEN - 99))
    return tmp_path


@pytest.mark.parametrize("clock", [0.0, 5000.0, clock_floor.MADE.timestamp() - 1])
def test_it_goes_to_the_newest_that_the_folder_has_seen(folder: Path, clock: float) -> None:
    given: list[float] = []
    clock_floor.keep(folder, clock, given.append)
    assert given == [SEEN]


def test_a_folder_that_has_seen_nothing_knows_when_mini8s_was_made(tmp_path: Path) -> None:
    given: list[float] = []
    clock_floor.keep(tmp_path, 0.0, given.append)
    assert given == [clock_floor.MADE.timestamp()]


@pytest.mark.parametrize("clock", [SEEN - 1_000_000, SEEN, SEEN + 1])
def test_a_clock_that_may_be_right_is_left_alone(folder: Path, clock: float) -> None:
    given: list[float] = []
    clock_floor.keep(folder, clock, given.append)
    assert given == []


def test_a_clock_that_may_not_be_set_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_seconds: float) -> None:
        raise PermissionError

    clock_floor.keep(folder, 0.0, refuse)
    assert "may not be set: certificates will not hold" in caplog.text
