"""Which pod has which address of the node's range. PURE.

Nothing is written to a file: the kernel's links and routes say who has what, and this picture is made from
them at every start. The first address of the range is the host's end of a tunnel; the last is left out
because people and tools take it for a broadcast address. A free address is taken as late as possible after
it was given back: who still talks to the old pod should not meet another.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from mini8s.agent.network.base import NetworkError


class Addresses:
    """The addresses of one range by pod uid."""

    def __init__(self, cidr: str, in_use: Mapping[str, str]) -> None:
        """`in_use`: the address of each pod that has one."""
        network = ipaddress.IPv4Network(cidr)
        self._cidr = cidr
        self._first = int(network.network_address) + 1
        self._size = max(0, network.num_addresses - 2)
        inside = [
            int(address) for address in map(ipaddress.IPv4Address, in_use.values()) if address in network
        ]
        self._next = max(inside, default=self._first - 1) + 1 - self._first
        self.keep(in_use)

    def keep(self, in_use: Mapping[str, str]) -> None:
        """Take this for the truth about who has what."""
        self._of = dict(in_use)
        self._used = set(in_use.values())

    def of(self, uid: str) -> str:
        """The pod's address, empty when it has none."""
        return self._of.get(uid, "")

    def all(self) -> Mapping[str, str]:
        return dict(self._of)

    def take(self, uid: str) -> str:
        """The pod's address, a new one when it has none. Raises NetworkError."""
        if uid in self._of:
            return self._of[uid]
        for step in range(self._size):
            address = str(ipaddress.IPv4Address(self._first + (self._next + step) % self._size))
            if address not in self._used:
                self._next = (self._next + step + 1) % self._size
                self._of[uid] = address
                self._used.add(address)
                return address
        raise NetworkError(f"no address is left in this node's pod range {self._cidr}")

    def release(self, uid: str) -> None:
        self._used.discard(self._of.pop(uid, ""))
