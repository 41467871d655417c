"""The proxy's table in the kernel: the skeleton as text when it isn't there, everything else by netlink."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set

from mini8s.agent.network import ruleset
from mini8s.agent.network.elements import Elements, Timed
from mini8s.agent.network.family import IPV4, Family
from mini8s.agent.network.nft import Nft
from mini8s.agent.proxy import features, foreign, skeleton
from mini8s.agent.proxy.conntrack import Connections
from mini8s.agent.proxy.layout import (
    AFFINITY_SECONDS,
    FRONTS,
    GROUP_MASK,
    GROUP_SHIFT,
    INSIDE_FRONTS,
    INSIDE_PORTS,
    LEARNED,
    LEARNED_PORTS,
    NODE_PORTS,
    TABLE,
    Needs,
    Slot,
    shape,
)
from mini8s.agent.proxy.learned import carried, joined, split
from mini8s.agent.proxy.plan import Flow, Round


class Table:
    """Fulfils `base.Kernel`, for one family of addresses."""

    def __init__(
        self,
        service_cidr: str,
        cluster_cidr: str,
        node_port_ranges: Sequence[str] = (),
        family: Family = IPV4,
    ) -> None:
        self._family, self._shape = family, shape(family)
        self._nft = Nft(self._shape)
        self._connections = Connections(family)
        self._cluster_cidr = cluster_cidr
        self._skeleton = skeleton.Skeleton(service_cidr, cluster_cidr, node_port_ranges, family)
        self._there: set[str] = set()  # chains that the kernel is known to have

    def replace(self, elements: Elements, needs: Needs) -> None:
        """A table that this version made and that has the chains keeps them; any other is replaced with all
        its elements in one transaction, so that no packet ever meets a table without Services."""
        self._there.clear()
        ours = self.intact()
        learned = list(self._carried(elements)) if ours else []
        if ours and self.has_room(needs):
            self._make_learners(needs)
            batch = self._nft.emptied(elements)
        else:
            ruleset.load(self._skeleton.table(needs) + "".join(self._shape.additions(elements)))
            batch = self._nft.batch()
        for name, found in zip(self._learned_maps, split(learned, len(self._learned_maps)), strict=True):
            batch.add_timed(name, found)
        self._nft.commit(batch)

    def has_room(self, needs: Needs) -> bool:
        return all(self._has(name) for name in skeleton.names(Needs(needs.blocks)))

    def change(self, round: Round) -> None:
        self._make_learners(round.needs)
        self._nft.change(round.remove, round.add)

    def forget(self, round: Round) -> None:
        if round.unlearn:
            self._unlearn(round.unlearn)
        self._connections.clear(round.stale)

    def forget_others(self, flows: Set[Flow]) -> None:
        self._connections.keep(flows)

    def intact(self) -> bool:
        return self._nft.has_chain(self._skeleton.version)

    def lacks(self) -> str:
        return features.missing(ruleset.load, self._family)

    def without_sctp(self) -> str:
        return features.without_sctp()

    def blocked(self) -> str:
        return foreign.drops_forwarding(
            itertools.starmap(foreign.chain, self._nft.chains()), self._cluster_cidr
        )

    def close(self) -> None:
        self._nft.close()
        self._connections.close()

    def _make_learners(self, needs: Needs) -> None:
        """They come before the elements that speak of them; nobody goes there yet."""
        lacking = {one for one in needs.timeouts if not self._has(*skeleton.names(Needs(timeouts={one})))}
        if lacking:
            ruleset.load(skeleton.chains(Needs(timeouts=lacking), self._family))

    def _has(self, name: str) -> bool:
        if name not in self._there and self._nft.has_chain(name):
            self._there.add(name)
        return name in self._there

    def _carried(self, elements: Elements) -> Iterator[Timed]:
        learned = self._learned()
        names = (FRONTS, NODE_PORTS, INSIDE_FRONTS, INSIDE_PORTS) if learned else ()
        held = {(name, key): mark for name in names for key, mark in self._nft.elements(name).items()}
        return carried(learned, held, elements)

    def _unlearn(self, gone: set[tuple[int, Slot]]) -> None:
        """Clients that were bound to an endpoint which is gone may choose anew."""
        stale = [
            one.key
            for one in self._learned()
            if ((int(one.key[0]) & GROUP_MASK) >> GROUP_SHIFT, one.data) in gone
        ]
        if stale:
            batch = self._nft.batch()
            for name in self._learned_maps:
                batch.remove(name, stale)
            self._nft.commit(batch)

    @property
    def _learned_maps(self) -> tuple[str, ...]:
        return (LEARNED,) if self._family is IPV4 else (LEARNED, LEARNED_PORTS)

    def _learned(self) -> list[Timed]:
        return joined([self._nft.timed(name, 1000 * AFFINITY_SECONDS) for name in self._learned_maps])


def remove(family: Family = IPV4) -> None:
    """Take the proxy's table away; established connections stay. Raises RulesetError."""
    ruleset.remove(TABLE, family.nft)
