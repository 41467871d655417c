"""Ranges of keys: the only thing that a store knows of a key's form."""

from __future__ import annotations

LAST = "\U0010ffff"


def end(prefix: str) -> str:
    """The least string that is greater than every key with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else LAST


def family(key: str) -> str:
    """`/leases/` of `/leases/default/a`: the keys that share one fate where history is concerned."""
    return key[: key.find("/", 1) + 1] or key


def overlap(prefix: str, family: str) -> bool:
    """Whether some key can have both as its prefix."""
    return prefix.startswith(family) or family.startswith(prefix)
