"""What the proxy's loop needs of the kernel; `table` fulfils it, tests/fakes/kernel.py does without one."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from mini8s.agent.proxy.layout import Elements
from mini8s.agent.proxy.plan import Flow, Round


class Kernel(Protocol):
    """Each method is one atomic change. All raise RulesetError, after which what the kernel holds is to be
    taken as unknown."""

    def replace(self, elements: Elements, largest: int) -> None:
        """Make these all there is, whatever was there; `largest` is the size of the largest group."""

    def change(self, round: Round) -> None:
        """Apply a round to the elements."""

    def forget(self, round: Round) -> None:
        """Forget where clients went that went where the round says nobody shall go any more."""

    def forget_others(self, flows: Set[Flow]) -> None:
        """Forget flows of these fronts that went elsewhere, while nobody looked."""

    def has_room(self, largest: int) -> bool:
        """Whether a group of so many endpoints can be had by `change`; else it takes `replace`."""

    def intact(self) -> bool:
        """Whether the table is still there, as this version of mini8s makes it."""

    def close(self) -> None:
        """Let go of the kernel; what is programmed stays."""
