"""The policies' table in memory, as strict as the kernel's: `agent.policy.base.Kernel`."""

from __future__ import annotations

from mini8s.agent.network.elements import Elements, Place, Values
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.policy.plan import Round


class FakePolicyKernel:
    """`elements` is None while there is no table; `refusal`: what every call fails with."""

    def __init__(self) -> None:
        self.elements: dict[Place, Values] | None = None
        self.refusal = self.lack = ""
        self.calls: list[str] = []

    def replace(self, elements: Elements) -> None:
        self._call("replace")
        self.elements = dict(elements)

    def change(self, round: Round) -> None:
        self._call("change")
        if self.elements is None or not set(round.remove) <= self.elements.keys():
            raise RulesetError("ENOENT")
        kept = {place: data for place, data in self.elements.items() if place not in set(round.remove)}
        if kept.keys() & round.add.keys():
            raise RulesetError("EEXIST")
        self.elements = kept | dict(round.add)

    def remove(self) -> None:
        self._call("remove")
        self.elements = None

    def intact(self) -> bool:
        return self.elements is not None

    def highest(self) -> int:
        return 0

    def lacks(self) -> str:
        return self.lack

    def close(self) -> None:
        """Nothing is open."""

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.refusal:
            raise RulesetError(self.refusal)
