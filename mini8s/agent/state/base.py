"""What the agent's memory needs of others: somebody who keeps secrets unreadable on the disk.

The memory itself is `keeper.State`; it fulfils `client.informer.Memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Piece = tuple[str, str]  # what it is, and the text itself: sealed, it opens only under the same name


class VaultError(Exception):
    """Nothing can be sealed or opened now; the message says why."""


class Vault(Protocol):
    """Seals with this node's key. Calls may take a second: whoever has several pieces gives all at once."""

    def seal(self, pieces: Sequence[Piece]) -> list[str]:
        """Each piece so that it fits on a line of text. Raises VaultError."""

    def open(self, pieces: Sequence[Piece]) -> list[str | None]:
        """The texts; None for what this node didn't seal, or not under that name. Raises VaultError."""
