"""nf_tables as a dictionary that is as strict as the kernel: `agent.proxy.base.Kernel`."""

from __future__ import annotations

from collections.abc import Set

from mini8s.agent.network.elements import Elements, Place, Values
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.proxy.layout import Needs
from mini8s.agent.proxy.plan import Flow, Round


class FakeKernel:
    def __init__(self) -> None:
        self.elements: dict[Place, Values] = {}
        self.calls: list[str] = []
        self.fail_next = False
        self.present = True
        self.needs = Needs()
        self.lack = self.block = self.no_sctp = ""

    def replace(self, elements: Elements, needs: Needs) -> None:
        self._call("replace")
        self.elements = dict(elements)
        self.needs = Needs(set(needs.blocks), set(needs.timeouts))
        self.present = True

    def change(self, round: Round) -> None:
        self._call("change")
        self.needs.timeouts |= round.needs.timeouts
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

    def intact(self) -> bool:
        return self.present

    def has_room(self, needs: Needs) -> bool:
        return self.present and needs.blocks <= self.needs.blocks

    def lacks(self) -> str:
        return self.lack

    def without_sctp(self) -> str:
        return self.no_sctp

    def blocked(self) -> str:
        return self.block

    def close(self) -> None:
        """Nothing is open."""

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.fail_next:
            self.fail_next = False
            raise RulesetError("told to fail")
