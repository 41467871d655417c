"""The pod network in memory: addresses by uid, and a switch that makes it refuse."""

from __future__ import annotations

from mini8s.agent.network.base import Ips, NetworkError


class FakeNetwork:
    """`trouble`: every attach is refused with it."""

    def __init__(self) -> None:
        self.trouble = ""
        self.attached: dict[str, tuple[int, Ips]] = {}  # uid → pid, addresses
        self._next = 2

    @property
    def ready(self) -> bool:
        return not self.trouble

    def reserve(self, uid: str) -> Ips:
        return self._attached(uid, 0)

    def attach(self, uid: str, pid: int) -> Ips:
        return self._attached(uid, pid)

    def _attached(self, uid: str, pid: int) -> Ips:
        if self.trouble:
            raise NetworkError(self.trouble)
        found = self.addresses(uid)
        if not found:
            found, self._next = (f"10.42.0.{self._next}",), self._next + 1
        self.attached[uid] = (pid, found)
        return found

    def detach(self, uid: str) -> None:
        self.attached.pop(uid, None)

    def addresses(self, uid: str) -> Ips:
        return self.attached.get(uid, (0, ()))[1]
