"""The grammars of names (RFC 1123, RFC 1035, qualified names).

A check returns what is wrong, in upstream's words, or None. The words are those of
`k8s.io/apimachinery/pkg/util/validation`, because people search for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
# Letters of generated suffixes: no vowels and nothing that looks alike, so that no words come out.
SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character"
)
_LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character"
)
_QUALIFIED_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character"
)
_LABEL_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character"
)
_CONFIG_KEY_WORDS = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"


def dns_label(value: str) -> str | None:
    """RFC 1123 label: namespaces, containers, volumes."""
    return _check(value, _LABEL, LABEL_LENGTH, _LABEL_WORDS, ("my-name", "123-abc"))


def dns_label_1035(value: str) -> str | None:
    """RFC 1035 label: Services."""
    return _check(value, _LABEL_1035, LABEL_LENGTH, _LABEL_1035_WORDS, ("my-name", "abc-123"))


def dns_subdomain(value: str) -> str | None:
    """RFC 1123 subdomain: most objects' names."""
    return _check(value, _SUBDOMAIN, SUBDOMAIN_LENGTH, _SUBDOMAIN_WORDS, ("example.com",))


def qualified_name(value: str) -> str | None:
    """`name` or `prefix/name`: keys of labels, annotations, taints and resources."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        form = _regex_words(_QUALIFIED_WORDS, _QUALIFIED, ("MyName", "my.name", "123-abc"))
        prefixed = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return f"a qualified name {form} {prefixed}"
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and (wrong := dns_subdomain(prefix)):
        return f"prefix part {wrong}"
    if not name:
        return "name part must be non-empty"
    wrong = _check(name, _QUALIFIED, LABEL_LENGTH, _QUALIFIED_WORDS, ("MyName", "my.name", "123-abc"))
    return f"name part {wrong}" if wrong else None


def label_value(value: str) -> str | None:
    return _check(value, _LABEL_VALUE, LABEL_LENGTH, _LABEL_VALUE_WORDS, ("MyValue", "my_value", "12345"))


def config_key(value: str) -> str | None:
    """A key of a ConfigMap or Secret: it becomes a file's name."""
    if wrong := _check(
        value, _CONFIG_KEY, SUBDOMAIN_LENGTH, _CONFIG_KEY_WORDS, ("key.name", "KEY_NAME", "key-name")
    ):
        return wrong
    return _dots(value)


def env_name(value: str) -> str | None:
    """Since 1.32 nearly anything may name an environment variable."""
    if value and all(" " <= char <= "~" and char != "=" for char in value):
        return None
    return "a valid environment variable name must consist only of printable ASCII characters other than '='"


def port_name(value: str) -> str | None:
    """IANA service name: a port's name in a container."""
    if len(value) > 15:
        return "must be no more than 15 characters"
    if not re.fullmatch("[-a-z0-9]+", value):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", value):
        return "must contain at least one letter (a-z)"
    if "--" in value:
        return "must not contain consecutive hyphens"
    if value.startswith("-") or value.endswith("-"):
        return "must not begin or end with a hyphen"
    return None


def generate(prefix: str, random: Callable[[], str]) -> str:
    """`generateName`: the prefix, cut so that the whole stays a label, and a random suffix."""
    suffix = random()
    return prefix[: LABEL_LENGTH - len(suffix)] + suffix


def _dots(value: str) -> str | None:
    if value == ".":
        return "must not be '.'"
    if value == "..":
        return "must not be '..'"
    return "must not start with '..'" if value.startswith("..") else None


def _check(value: str, pattern: str, longest: int, words: str, examples: tuple[str, ...]) -> str | None:
    if len(value) > longest:
        return f"must be no more than {longest} characters"
    if _matcher(pattern)(value):
        return None
    return _regex_words(words, pattern, examples)


@cache
def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern).fullmatch


def _regex_words(words: str, pattern: str, examples: tuple[str, ...]) -> str:
    shown = "',  or '".join(examples)  # upstream's two spaces
    return f"{words} (e.g. '{shown}', regex used for validation is '{pattern}')"
