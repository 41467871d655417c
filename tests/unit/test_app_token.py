"""Join tokens: what they say, and what is no token."""

from __future__ import annotations

import pytest

from mini8s.app.token import BadToken, Token, parse

CA = "ab" * 32


def test_a_full_token_reads_back_as_it_was_written() -> None:
    token = Token("s3cret", "node", CA)
    assert str(token) == f"K10{CA}::node:s3cret"
    assert parse(f" {token}\n") == token


def test_a_bare_secret_is_a_token_without_a_hash() -> None:
    assert parse("my-secret") == Token("my-secret")


@pytest.mark.parametrize("text", ["", "  ", "K10abc::node:x", f"K10{CA}:node:x", "two words"])
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(BadToken):
        parse(text)


@pytest.mark.parametrize(
    ("presented", "admitted"),
    [
        ("s3cret", True),
        (f"K10{CA}::node:s3cret", True),
        ("s3cre", False),
        ("", False),
        (f"K10{CA}::node:no", False),
    ],
)
def test_only_the_secret_admits(presented: str, admitted: bool) -> None:
    assert Token("s3cret", "node", CA).admits(presented) is admitted
