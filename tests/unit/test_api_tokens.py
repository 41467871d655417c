"""Static tokens: a file of them, read once; tests/cases/bootstrap.http has the bootstrap tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from mini8s.api.tokens import BadTokenFile, any_of, read_static
from mini8s.registry.base import User


def file(tmp_path: Path, text: str) -> str:
    (tmp_path / "tokens.csv").write_text(text)
    return str(tmp_path / "tokens.csv")


def test_who_has_which(tmp_path: Path) -> None:
    tokens = read_static(file(tmp_path, '# people\n\nt1,ann,u1,"dev,ops"\nt2, ben, u2\n'))
    assert tokens("t1") == User("ann", ("dev", "ops", "system:authenticated"), "u1")
    assert tokens("t2") == User("ben", ("system:authenticated",), "u2")
    assert tokens("t3") is None
    assert any_of(lambda _: None, tokens)("t2") == tokens("t2")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("t1,ann", "line 1: there must be token, user and uid, and 2 of them are there"),
        ("t1,ann,u1\n,ben,u2", "line 2: the token is empty"),
        ("t1,,u1", "line 1: the user is empty"),
        ("t1,ann,u1\nt1,ben,u2", "line 2: the token is there twice"),
    ],
)
def test_what_is_no_such_file(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadTokenFile, match=why):
        read_static(file(tmp_path, text))


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadTokenFile, match="can't be read"):
        read_static(str(tmp_path / "none"))
