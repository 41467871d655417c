"""Tables of nftables that are rarely changed, loaded as text by the `nft` command: one call is one
transaction."""

from __future__ import annotations

import subprocess


class RulesetError(Exception):
    """nftables refused; the message is the kernel's or the command's own."""


def load(text: str) -> None:
    """Apply rules in nft's language as a whole or not at all. Raises RulesetError."""
    _nft("-f", "-", text=text)


def tables(family: str = "ip") -> list[str]:
    """The names of the tables of a family. Raises RulesetError."""
    lines = _nft("list", "tables", family).splitlines()
    return [line.split()[-1] for line in lines if line.startswith(f"table {family} ")]


def exists(table: str, family: str = "ip") -> bool:
    """Raises RulesetError."""
    return table in tables(family)


def remove(table: str, family: str = "ip") -> None:
    """Remove a table; none there is success. Raises RulesetError."""
    load(f"table {family} {table}\ndelete table {family} {table}\n")


def _nft(*arguments: str, text: str = "") -> str:
    try:
        done = subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError as error:
        raise RulesetError("the command nft is missing: install the package nftables") from error
    except subprocess.TimeoutExpired as error:
        raise RulesetError("the command nft did not end within a minute") from error
    if done.returncode:
        raise RulesetError(f"nft refused: {done.stderr.strip()[:500]}")
    return done.stdout
