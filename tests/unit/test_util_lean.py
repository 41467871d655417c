from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini8s.util.lean import absent, bare_package


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that imports the whole of itself, and in it a module that stands alone."""
    folder = tmp_path / "stout"
    folder.mkdir()
    (folder / "__init__.py").write_text("from stout import rarely\nNAME = rarely.NAME\n")
    (folder / "rarely.py").write_text("NAME = 'rarely'\n")
    (folder / "often.py").write_text("from stout import near\nNAME = near.NAME\n")
    (folder / "near.py").write_text("NAME = 'near'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder.name
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def test_a_bare_package_gives_single_modules(package: str) -> None:
    bare_package(package)
    assert importlib.import_module("stout.often").NAME == "near"
    assert "stout.rarely" not in sys.modules


def test_a_package_that_is_there_is_left_whole(package: str) -> None:
    whole = importlib.import_module(package)
    bare_package(package)
    assert importlib.import_module(package) is whole


def test_a_package_that_is_not_installed_is_said_to_be_missing() -> None:
    with pytest.raises(ModuleNotFoundError):
        bare_package("no_such_package_anywhere")


@pytest.mark.usefixtures("package")
def test_an_absent_module_is_back_afterwards() -> None:
    with absent("stout"), pytest.raises(ImportError):
        importlib.import_module("stout")
    assert importlib.import_module("stout").NAME == "rarely"


def test_what_is_imported_already_is_not_hidden() -> None:
    with absent("json"):
        assert importlib.import_module("json").loads("1") == 1
