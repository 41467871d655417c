"""Join tokens: `K10<sha256 of the CA>::<name>:<secret>`, the form k3s uses.

The hash lets a host that joins check whom it talks to before it sends the secret. A bare secret is a token
too, for those who set their own with --token; it joins without that check. A token that ends has no name:
`K10<sha256 of the CA>::<id>.<secret>`, as k3s has it.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

from mini8s.objects.bootstrap_tokens import FORM

_FULL = re.compile(r"K10(?P<ca>[0-9a-f]{64})::(?:(?P<name>[A-Za-z0-9_.-]+):)?(?P<secret>[^\s:]+)")


class BadToken(ValueError):
    """Text that can't be a token."""


@dataclass(frozen=True, slots=True)
class Token:
    """`ca` is the hash, empty in a bare secret."""

    secret: str
    name: str = "node"
    ca: str = ""

    def __str__(self) -> str:
        name = "" if self.bootstrap else f"{self.name}:"
        return f"K10{self.ca}::{name}{self.secret}" if self.ca else self.secret

    @property
    def bootstrap(self) -> bool:
        """Whether it has the form of a token that ends (`objects.bootstrap_tokens`)."""
        return FORM.fullmatch(self.secret) is not None

    def admits(self, presented: str) -> bool:
        """Whether a presented token or bare secret carries this secret. Takes the same time right or
        wrong."""
        try:
            secret = parse(presented).secret
        except BadToken:
            return False
        return hmac.compare_digest(secret.encode(), self.secret.encode())


def parse(text: str) -> Token:
    """Raises BadToken."""
    text = text.strip()
    full = _FULL.fullmatch(text)
    if full and (full["name"] or FORM.fullmatch(full["secret"])):
        return Token(full["secret"], full["name"] or "node", full["ca"])
    if not text:
        raise BadToken("the token is empty")
    if text.startswith("K10") or re.search(r"\s", text):
        raise BadToken("the token is not of the form K10<sha256 of the CA>::<name>:<secret>")
    return Token(text)
