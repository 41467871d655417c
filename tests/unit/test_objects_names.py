"""The grammars of names, in upstream's words."""

from __future__ import annotations

import pytest

from mini8s.objects import names


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (names.dns_label, ["a", "a-1", "1a", "a" * 63], ["", "A", "-a", "a-", "a.b", "a" * 64, "a\n"]),
        (names.dns_label_1035, ["a", "a-1"], ["1a", "", "a_b"]),
        (names.dns_subdomain, ["a", "a.b", "1.2", "a" * 253], ["a..b", ".a", "a.", "a" * 254, "ü"]),
        (names.qualified_name, ["a", "A_b.c", "x.io/A"], ["", "/a", "a/", "a/b/c", "X/a", "-a", "a" * 64]),
        (names.label_value, ["", "a", "A_1.b"], ["-", "a-", "a b", "a" * 64]),
        (names.config_key, ["a", ".a", "A_b-c", ".x"], ["", ".", "..", "..x", "a b", "a" * 254]),
        (names.env_name, ["A", "a.b-c", "1 +"], ["", "A=B", "é", "\n"]),
        (names.port_name, ["http", "a-1"], ["", "1", "-a", "a-", "a--b", "A", "a" * 16]),
    ],
)
def test_grammar(check, good, bad):
    assert [value for value in good if check(value)] == []
    assert [value for value in bad if not check(value)] == []


def test_words_are_upstreams():
    assert names.dns_label("A") == (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
        "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
        "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    )
    assert names.dns_label("a" * 64) == "must be no more than 63 characters"


def test_generated_names_stay_labels():
    made = names.generate("x" * 80, lambda: "abcde")
    assert made == "x" * 58 + "abcde"
    assert names.dns_label(made) is None
