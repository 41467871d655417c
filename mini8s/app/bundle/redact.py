"""PURE: what must not leave the house is taken out of texts.

Twice: whatever is known to be secret here (values of Secrets, tokens, passwords of registries), wherever it
turns up and also in base64; and whatever looks like a secret, known or not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

from mini8s.objects.kinds import Obj

HIDDEN = "<hidden>"
LEAST = 6  # shorter ones are words, ports and the like, and each of them would be taken out everywhere
_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\bK10[0-9a-f]{16,}(?:::[^\s\"'@]*)?"),  # a token with which hosts join
    re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),  # one that ends
    re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"),  # a JSON Web Token
    re.compile(r"(?<=://)[^/\s@\"']+:[^/\s@\"']+(?=@)"),  # a user and password in an address
    re.compile(r"(?i)(?<=\bbearer )[^\s\"']+|(?<=\bbasic )[A-Za-z0-9+/=]{8,}"),
    re.compile(
        r"(?i)(?<=password[=:])\S+|(?<=passwd[=:])\S+|(?<=secret[=:])\S+|(?<=token[=:])\S+|(?<=apikey[=:])\S+"
    ),
)


class Redactor:
    def __init__(self, known: Iterable[str]) -> None:
        forms = {form for value in known for form in _forms(value)}
        ordered = sorted(forms, key=lambda form: (-len(form), form))  # the whole before a part of it
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        if self._known:
            text = self._known.sub(HIDDEN, text)
        for shape in _SHAPES:
            text = shape.sub(HIDDEN, text)
        return text


def values(secret: Obj) -> Iterator[str]:
    """What a Secret holds, as texts. What is no text can't turn up in one."""
    for encoded in (secret.get("data") or {}).values():
        yield encoded
        try:
            yield base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue


def _forms(value: str) -> Iterator[str]:
    """As it is, each line of it, and what base64 makes of it: three forms, by where it begins in a longer
    text, each without the ends that depend on what is around."""
    for part in {value.strip(), *(line.strip() for line in value.splitlines())}:
        if len(part) < LEAST:
            continue
        yield part
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + part.encode()).decode().rstrip("=")
            inner = encoded[4 if shift else 0 : -1]
            if len(inner) >= LEAST:
                yield inner
