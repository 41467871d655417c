"""mini8s/DESIGN.md is kept true: every file and folder it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "mini8s" / "DESIGN.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+(?:/|\.py|\.cfg|\.md))`", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_what_the_design_names_is_there(name: str) -> None:
    assert (ROOT / "mini8s" / name).exists() or (ROOT / name).exists()


def test_every_room_is_in_the_house() -> None:
    rooms = {path.name for path in (ROOT / "mini8s").iterdir() if (path / "__init__.py").exists()}
    assert {room for room in rooms if f"    {room}/" not in PAGE} == set()
