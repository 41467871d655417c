"""What the policies' loop needs of the kernel; `table` fulfils it."""

from __future__ import annotations

from typing import Protocol

from mini8s.agent.network.elements import Elements
from mini8s.agent.policy.plan import Round


class Kernel(Protocol):
    """Each method is one atomic change. All raise RulesetError, after which what the kernel holds is to be
    taken as unknown."""

    def replace(self, elements: Elements) -> None:
        """Make these all there is, whatever was there."""

    def change(self, round: Round) -> None:
        """Apply a round to the elements."""

    def remove(self) -> None:
        """Take the table away: no pod is isolated. None there is success."""

    def intact(self) -> bool:
        """Whether the table is still there, as this version of mini8s makes it."""

    def highest(self) -> int:
        """The highest number in use, 0 when there is no table."""

    def lacks(self) -> str:
        """What this kernel lacks of what policies need, as a sentence; empty when nothing. Asked after a
        refusal: it costs transactions."""

    def close(self) -> None:
        """Let go of the kernel; what is programmed stays."""
