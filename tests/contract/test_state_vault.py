"""What seals the agent's secrets: the process that does it, and the fake."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from mini8s.agent.state.base import Vault, VaultError
from mini8s.app.vault import NodeVault
from tests.fakes.vault import FakeVault

Maker = Callable[[str], Vault]  # by the name of a key


def real(folder: Path) -> Maker:
    def make(name: str) -> Vault:
        key = folder / name
        if not key.exists():
            key.write_bytes(secrets.token_bytes(200))
        return NodeVault(key, folder / "none")

    return make


@pytest.fixture(params=["fake", "process"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return FakeVault if request.param == "fake" else real(tmp_path)


PIECES = [("secrets/a/x", '{"data":"é\\n"}'), ("secrets/a/y", "two")]


def test_what_is_sealed_opens_again(make: Maker) -> None:
    sealed = make("k").seal(PIECES)
    for (_, text), line in zip(PIECES, sealed, strict=True):
        assert text not in line
        assert "\n" not in line
    names = [name for name, _ in PIECES]
    assert make("k").open(list(zip(names, sealed, strict=True))) == [text for _, text in PIECES]


def test_what_was_not_sealed_so_does_not_open(make: Maker) -> None:
    x, y = make("k").seal(PIECES)
    asked = [("secrets/a/y", x), ("secrets/a/y", x[:-4] + "AAA="), ("secrets/a/y", ""), ("secrets/a/y", "?"),
             ("secrets/a/y", y)]  # fmt: skip
    assert make("k").open(asked) == [None, None, None, None, "two"]
    assert make("other").open([("secrets/a/y", y)]) == [None]


def test_the_key_before_the_last_renewal_opens_too(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    before = NodeVault(old, tmp_path / "none").seal([("x", "1")])
    now = NodeVault(new, old)
    after = now.seal([("y", "2")])
    assert now.open([("x", before[0]), ("y", after[0])]) == ["1", "2"]


def test_no_key_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="No such file or directory"):
        NodeVault(tmp_path / "none", tmp_path / "none").seal([("x", "1")])


def test_equal_texts_are_not_sealed_equally(tmp_path: Path) -> None:
    vault = real(tmp_path)("k")
    assert len(set(vault.seal([("x", "1"), ("x", "1")]))) == 2
