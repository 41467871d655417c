"""nf_tables as a dictionary that is as strict as the kernel: `agent.proxy.base.Kernel`."""

from __future__ import annotations

from collections.abc import Set

from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.proxy.layout import Elements, Place, Values
from mini8s.agent.proxy.plan import Flow, Round


class FakeKernel:
    def __init__(self) -> None:
        self.elements: dict[Place, Values] = {}
        self.calls: list[str] = []
        self.fail_next = False
        self.present = True
        self.room = 64

    def replace(self, elements: Elements, largest: int) -> None:
        self._call("replace")
        self.elements = dict(elements)
        self.room = max(self.room, largest)
        self.present = True

    def change(self, round: Round) -> None:
        self._call("change")
        after = dict(self.elements)
        for place in round.remove:
            if place not in after:
                raise RulesetError(f"ENOENT: {place}")
            del after[place]
        for place, data in round.add.items():
            if after.setdefault(place, data) != data:
                raise RulesetError(f"EEXIST: {place}")
        self.elements = after

    def forget(self, round: Round) -> None:
        """Nothing is remembered here."""

    def forget_others(self, flows: Set[Flow]) -> None:
        """Nothing is remembered here."""

    def has_room(self, largest: int) -> bool:
        return self.present and largest <= self.room

    def intact(self) -> bool:
        return self.present

    def close(self) -> None:
        """Nothing is open."""

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.fail_next:
            self.fail_next = False
            raise RulesetError("told to fail")
