"""The policies' table in the kernel: the skeleton as text when it isn't there, everything else by netlink."""

from __future__ import annotations

from mini8s.agent.network import ruleset
from mini8s.agent.network.elements import Elements
from mini8s.agent.network.family import IPV4, Family
from mini8s.agent.network.nft import Nft
from mini8s.agent.policy import features, skeleton
from mini8s.agent.policy.layout import EGRESS, INGRESS, PEERS, PORTS, TABLE, shape
from mini8s.agent.policy.plan import Round


class Table:
    """Fulfils `base.Kernel`, for one family of addresses."""

    def __init__(self, cluster_dns: str, family: Family = IPV4) -> None:
        self._family, self._shape = family, shape(family)
        self._nft = Nft(self._shape)
        self._dns = cluster_dns
        self._version = skeleton.version(cluster_dns, family)

    def replace(self, elements: Elements) -> None:
        """A table that another version made is replaced with all its elements in one transaction, so that no
        isolated pod is ever open."""
        if self.intact():
            self._nft.replace(elements)
        else:
            text = skeleton.table(self._dns, self._family)
            ruleset.load(text + "".join(self._shape.additions(elements)))

    def change(self, round: Round) -> None:
        self._nft.change(round.remove, round.add)

    def remove(self) -> None:
        ruleset.remove(TABLE, self._family.nft)

    def intact(self) -> bool:
        return self._nft.has_chain(self._version)

    def highest(self) -> int:
        if not self.intact():
            return 0
        found = [
            int(data[0]) for name in (INGRESS, EGRESS, PEERS) for data in self._nft.elements(name).values()
        ]
        return max(found + [int(key[0]) for key in self._nft.elements(PORTS)], default=0)

    def lacks(self) -> str:
        return features.missing(ruleset.load, self._family)

    def close(self) -> None:
        self._nft.close()
