"""The proxy's table in the kernel: the skeleton as text when it isn't there, everything else by netlink."""

from __future__ import annotations

from collections.abc import Set

from mini8s.agent.network import ruleset
from mini8s.agent.proxy import conntrack, skeleton
from mini8s.agent.proxy.layout import GROUP_MASK, GROUP_SHIFT, LEARNED, TABLE, Elements, Slot
from mini8s.agent.proxy.nft import Batch, Nft
from mini8s.agent.proxy.plan import Flow, Round


class Table:
    """Fulfils `base.Kernel`."""

    def __init__(self, service_cidr: str, cluster_cidr: str) -> None:
        self._nft = Nft()
        self._cidrs = (service_cidr, cluster_cidr)
        self._version = skeleton.version(service_cidr, cluster_cidr)

    def replace(self, elements: Elements, largest: int) -> None:
        """A table that this version made keeps its chains; any other is replaced with all its elements in
        one transaction, so that no packet ever meets a table without Services."""
        if self.intact() and self.has_room(largest):
            self._nft.replace(elements)
            return
        text = skeleton.table(*self._cidrs, skeleton.room(largest))
        ruleset.load(text + "".join(skeleton.additions(elements)))

    def change(self, round: Round) -> None:
        self._nft.change(round.remove, round.add)

    def forget(self, round: Round) -> None:
        if round.unlearn:
            self._unlearn(round.unlearn)
        conntrack.clear(round.stale)

    def forget_others(self, flows: Set[Flow]) -> None:
        conntrack.keep(flows)

    def intact(self) -> bool:
        return self._nft.has_chain(self._version)

    def close(self) -> None:
        self._nft.close()

    def has_room(self, largest: int) -> bool:
        return self._nft.has_chain(f"n{skeleton.room(largest)}")

    def _unlearn(self, gone: set[tuple[int, Slot]]) -> None:
        """Clients that were bound to an endpoint which is gone may choose anew."""
        stale = [
            key
            for key, slot in self._nft.elements(LEARNED).items()
            if ((int(key[0]) & GROUP_MASK) >> GROUP_SHIFT, slot) in gone
        ]
        if stale:
            batch = Batch()
            batch.remove(LEARNED, stale)
            self._nft.commit(batch)


def remove() -> None:
    """Take the proxy's table away; established connections stay. Raises RulesetError."""
    ruleset.remove(TABLE)
