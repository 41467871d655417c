"""mini8s/DESIGN.md and the API's page are kept true: what they name is there, and what is served is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mini8s.objects.kinds import KINDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "mini8s" / "DESIGN.md").read_text()
API_PAGE = (ROOT / "mini8s" / "api" / "README.md").read_text()
FILE = re.compile(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+(?:/|\.py|\.cfg|\.md))`")
NAMED = sorted({*FILE.findall(PAGE), *FILE.findall(API_PAGE)})


@pytest.mark.parametrize("name", NAMED)
def test_what_the_design_names_is_there(name: str) -> None:
    assert (ROOT / "mini8s" / name).exists() or (ROOT / name).exists()


@pytest.mark.parametrize("name", sorted({name for kind in KINDS for name in kind.subresources}))
def test_the_apis_page_names_the_subresource(name: str) -> None:
    assert f"`{name}`" in API_PAGE


def test_every_room_is_in_the_house() -> None:
    rooms = {path.name for path in (ROOT / "mini8s").iterdir() if (path / "__init__.py").exists()}
    assert {room for room in rooms if f"    {room}/" not in PAGE} == set()
