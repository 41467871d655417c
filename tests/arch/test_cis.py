"""packaging/CIS.md is kept true: its states are words that it explains, and the tests that it names exist."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "packaging" / "CIS.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| \d", line)
]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`([\w/]+\.py(?:::\w+)?)`", row[4])})
DASH = "\N{EN DASH}"
LAST = {"1.1": 21, "1.2": 29, "1.3": 7, "1.4": 2, "2": 7, "3.1": 3, "3.2": 2, "4.1": 10, "4.2": 14, "4.3": 1,
        "5.1": 13, "5.2": 13, "5.3": 2, "5.4": 2, "5.5": 1, "5.7": 4}  # fmt: skip


def numbers(said: str) -> list[str]:
    """One by one; a dash is between the first and the last of some."""
    found = []
    for part in said.split(", "):
        first, _, last = part.partition(DASH)
        section, _, number = first.rpartition(".")
        end = int((last or first).rpartition(".")[2])
        found += [f"{section}.{one}" for one in range(int(number), end + 1)]
    return found


def test_each_number_is_there_once() -> None:
    wanted = [f"{section}.{number}" for section, last in LAST.items() for number in range(1, last + 1)]
    assert Counter(number for row in ROWS for number in numbers(row[0])) == Counter(wanted)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_how_it_stands(row: list[str]) -> None:
    assert row[2] in {"met", "set", "yours", "no", "—"}
    assert row[3] or row[2] == "yours"


@pytest.mark.parametrize("name", NAMED)
def test_the_test_that_is_named_exists(name: str) -> None:
    path, _, function = name.partition("::")
    text = (TESTS / path).read_text()
    assert f"def {function}(" in text if function else text
