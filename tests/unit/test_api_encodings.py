"""A watch as lines of text: headed once, aligned with what came before, and silent where there is nothing to
read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from mini8s.api.encodings import TextEncoding
from mini8s.api.render import Renderer
from mini8s.api.representation import TEXT, Representation
from mini8s.objects.kinds import CONFIGMAPS
from mini8s.registry.base import Column

NAME = Column("Name", lambda obj, _: obj["metadata"]["name"])
SIZE = Column("Size", lambda obj, _: len(obj.get("data", {})))


@pytest.fixture
def encoding() -> TextEncoding:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return TextEncoding(Renderer(CONFIGMAPS, (NAME, SIZE), Representation(TEXT), now=lambda: now))


def said(encoding: TextEncoding, type: str, name: str = "", **obj: Any) -> str:
    value = json.dumps({"metadata": {"name": name}, **obj}).encode()
    return encoding.event(type, value, first=False).decode()


def test_lines_stay_in_line(encoding: TextEncoding) -> None:
    assert said(encoding, "BOOKMARK") == ""
    assert said(encoding, "ADDED", "settings") == "NAME       SIZE\nsettings   0\n"
    assert said(encoding, "MODIFIED", "a") == "a          0\n"
    assert said(encoding, "ADDED", "much-longer", data={"k": "v"}) == "much-longer   1\n"
    assert said(encoding, "DELETED", "a") == "a             0\n"


def test_an_error_is_told(encoding: TextEncoding) -> None:
    assert said(encoding, "ERROR", message="too old resource version") == "error: too old resource version\n"


def test_each_watch_has_its_own_widths(encoding: TextEncoding) -> None:
    assert encoding.key != TextEncoding(encoding._renderer).key
