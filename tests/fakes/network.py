"""The pod network in memory: addresses by uid, and a switch that makes it refuse."""

from __future__ import annotations

from mini8s.agent.network.base import NetworkError


class FakeNetwork:
    """`trouble`: every attach is refused with it."""

    def __init__(self) -> None:
        self.trouble = ""
        self.attached: dict[str, tuple[int, str]] = {}  # uid → pid, address
        self._next = 2

    @property
    def ready(self) -> bool:
        return not self.trouble

    def reserve(self, uid: str) -> str:
        return self._attached(uid, 0)

    def attach(self, uid: str, pid: int) -> str:
        return self._attached(uid, pid)

    def _attached(self, uid: str, pid: int) -> str:
        if self.trouble:
            raise NetworkError(self.trouble)
        address = self.address(uid)
        if not address:
            address, self._next = f"10.42.0.{self._next}", self._next + 1
        self.attached[uid] = (pid, address)
        return address

    def detach(self, uid: str) -> None:
        self.attached.pop(uid, None)

    def address(self, uid: str) -> str:
        return self.attached.get(uid, (0, ""))[1]
