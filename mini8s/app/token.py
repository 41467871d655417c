"""Join tokens: `K10<sha256 of the CA>::<name>:<secret>`, the form k3s uses.

The hash lets a host that joins check whom it talks to before it sends the secret. A bare secret is a token
too, for those who set their own with --token; it joins without that check.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

_FULL = re.compile(r"K10(?P<ca>[0-9a-f]{64})::(?P<name>[A-Za-z0-9_.-]+):(?P<secret>\S+)")


class BadToken(ValueError):
    """Text that can't be a token."""


@dataclass(frozen=True, slots=True)
class Token:
    """`ca` is the hash, empty in a bare secret."""

    secret: str
    name: str = "node"
    ca: str = ""

    def __str__(self) -> str:
        return f"K10{self.ca}::{self.name}:{self.secret}" if self.ca else self.secret

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
    if full:
        return Token(full["secret"], full["name"], full["ca"])
    if not text:
        raise BadToken("the token is empty")
    if text.startswith("K10") or re.search(r"\s", text):
        raise BadToken("the token is not of the form K10<sha256 of the CA>::<name>:<secret>")
    return Token(text)
