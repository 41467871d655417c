"""A vault without a cipher: what it seals is unreadable enough to tell it from what isn't sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mini8s.agent.state.base import Piece, VaultError


@dataclass(slots=True)
class FakeVault:
    """Fulfils agent.state.base.Vault. One with another `key` opens nothing."""

    key: str = "k"
    broken: bool = False
    asked: list[int] = field(default_factory=list)  # how many pieces each call had

    def seal(self, pieces: Sequence[Piece]) -> list[str]:
        self._ask(pieces)
        return [f"{self.key}:{name}:{text[::-1]}" for name, text in pieces]

    def open(self, pieces: Sequence[Piece]) -> list[str | None]:
        self._ask(pieces)
        starts = [f"{self.key}:{name}:" for name, _ in pieces]
        return [
            text[len(start) :][::-1] if text.startswith(start) else None
            for start, (_, text) in zip(starts, pieces, strict=True)
        ]

    def _ask(self, pieces: Sequence[Piece]) -> None:
        if self.broken:
            raise VaultError("no vault here")
        self.asked.append(len(pieces))
