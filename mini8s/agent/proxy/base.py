"""What the proxy's loop needs of the kernel; `table` fulfils it, tests/fakes/kernel.py does without one."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from mini8s.agent.network.elements import Elements
from mini8s.agent.proxy.layout import Needs
from mini8s.agent.proxy.plan import Flow, Round


class Kernel(Protocol):
    """Each method is one atomic change. All raise RulesetError, after which what the kernel holds is to be
    taken as unknown."""

    def replace(self, elements: Elements, needs: Needs) -> None:
        """Make these all there is, whatever was there. Clients that are bound to an endpoint stay so."""

    def change(self, round: Round) -> None:
        """Apply a round to the elements."""

    def forget(self, round: Round) -> None:
        """Forget where clients went that went where the round says nobody shall go any more."""

    def forget_others(self, flows: Set[Flow]) -> None:
        """Forget flows of these fronts that went elsewhere, while nobody looked."""

    def intact(self) -> bool:
        """Whether the table is still there, as this version of mini8s makes it."""

    def has_room(self, needs: Needs) -> bool:
        """Whether groups of these sizes can be had by `change`; else it takes `replace`."""

    def lacks(self) -> str:
        """A sentence about what this kernel lacks for all this; empty when it is something else."""

    def without_sctp(self) -> str:
        """A sentence when Services can't be reached by SCTP here; empty when they can."""

    def blocked(self) -> str:
        """A sentence about whose rules keep pods' packets from other hosts; empty when nobody's do."""

    def close(self) -> None:
        """Let go of the kernel; what is programmed stays."""
