"""The page of the controllers: what it names as proof is there, on hosts where it says so, and it leaves none
out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTROLLERS = ROOT / "mini8s" / "controllers"
PAGE = (CONTROLLERS / "README.md").read_text()
ROWS = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ")]
BEHAVIOURS = [row for row in ROWS if row[1].strip() != "on hosts"]
PROOF = re.compile(r"`(test_\w+|cluster/\w+)`")


def defined(folder: str) -> set[str]:
    files = (ROOT / folder).rglob("test_*.py")
    return {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}


ON_HOSTS = defined("tests/e2e")
TRANSCRIPTS = {f"cluster/{path.stem}" for path in (ROOT / "tests/cases/kubectl/cluster").glob("*.txt")}
ANYWHERE = defined("tests") | TRANSCRIPTS


@pytest.mark.parametrize("row", BEHAVIOURS, ids=lambda row: row[0].strip())
def test_a_behaviour_is_proved_where_it_says(row: list[str]) -> None:
    _, on_hosts, elsewhere = row
    assert PROOF.findall(on_hosts + elsewhere)
    assert set(PROOF.findall(on_hosts)) - ON_HOSTS == set()
    assert set(PROOF.findall(elsewhere)) - ANYWHERE == set()


@pytest.mark.parametrize("kind", sorted(path.name for path in (CONTROLLERS / "kinds").glob("[a-z]*")))
def test_every_controller_is_on_the_page(kind: str) -> None:
    assert re.search(rf"`{kind}/?`", PAGE)
