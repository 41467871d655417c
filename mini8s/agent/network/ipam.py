"""Which pod has which address of the node's range. PURE.

Nothing is written to a file: the kernel's links and routes say who has what, and this picture is made from
them at every start. The first address of the range is the host's end of a tunnel; the last is left out
because people and tools take it for a broadcast address. A free address is taken as late as possible after
it was given back: who still talks to the old pod should not meet another. A pod that loses its sandbox, as
all do when their host is switched off, gets the address again that others know it by.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from mini8s.agent.network.base import NetworkError

NOBODY: Mapping[str, str] = {}


class Addresses:
    """The addresses of one range by pod uid."""

    def __init__(self, cidr: str, in_use: Mapping[str, str]) -> None:
        """`in_use`: the address of each pod that has one."""
        network = ipaddress.ip_network(cidr)
        self._cidr, self._at = cidr, type(network.network_address)
        self._first = int(network.network_address) + 1
        self._size = max(0, network.num_addresses - 2)
        inside = [
            int(address) for address in map(ipaddress.ip_address, in_use.values()) if address in network
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

    def take(self, uid: str, known: Mapping[str, str] = NOBODY) -> str:
        """The pod's address; when it has none the one it is `known` by, or a new one that no pod is known by.
        Raises NetworkError."""
        if uid in self._of:
            return self._of[uid]
        address = known.get(uid, "")
        if not self._is_free(address):
            address = self._next_free(set(known.values()))
        self._of[uid] = address
        self._used.add(address)
        return address

    def _is_free(self, address: str) -> bool:
        if not address or address in self._used:
            return False
        return 0 <= int(self._at(address)) - self._first < self._size

    def _next_free(self, but: set[str]) -> str:
        for step in range(self._size):
            address = str(self._at(self._first + (self._next + step) % self._size))
            if address not in self._used and address not in but:
                self._next = (self._next + step + 1) % self._size
                return address
        raise NetworkError(f"no address is left in this node's pod range {self._cidr}")

    def release(self, uid: str) -> None:
        self._used.discard(self._of.pop(uid, ""))
