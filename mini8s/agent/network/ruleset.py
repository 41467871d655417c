"""Tables of nftables that are rarely changed, loaded as text by the `nft` command: one call is one
transaction."""

from __future__ import annotations

import subprocess


class RulesetError(Exception):
    """nftables refused; the message is the kernel's or the command's own."""


def load(text: str) -> None:
    """Apply rules in nft's language as a whole or not at all. Raises RulesetError."""
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=text, capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError as error:
        raise RulesetError("the command nft is missing: install the package nftables") from error
    except subprocess.TimeoutExpired as error:
        raise RulesetError("the command nft did not end within a minute") from error
    if done.returncode:
        raise RulesetError(f"nft refused the rules: {done.stderr.strip()[:500]}")


def remove(table: str) -> None:
    """Remove a table of the family ip; none there is success. Raises RulesetError."""
    load(f"table ip {table}\ndelete table ip {table}\n")
