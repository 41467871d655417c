"""The proxy's table in the kernel: the skeleton as text when it isn't there, everything else by netlink."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set

from mini8s.agent.network import ruleset
from mini8s.agent.network.elements import Elements, Timed
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
    NODE_PORTS,
    SHAPE,
    TABLE,
    Needs,
    Slot,
)
from mini8s.agent.proxy.learned import carried
from mini8s.agent.proxy.plan import Flow, Round


class Table:
    """Fulfils `base.Kernel`."""

    def __init__(self, service_cidr: str, cluster_cidr: str, node_port_ranges: Sequence[str] = ()) -> None:
        self._nft = Nft(SHAPE)
        self._connections = Connections()
        self._cluster_cidr = cluster_cidr
        self._skeleton = skeleton.Skeleton(service_cidr, cluster_cidr, node_port_ranges)
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
            ruleset.load(self._skeleton.table(needs) + "".join(SHAPE.additions(elements)))
            batch = self._nft.batch()
        batch.add_timed(LEARNED, learned)
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
        return features.missing(ruleset.load)

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
            ruleset.load(skeleton.chains(Needs(timeouts=lacking)))

    def _has(self, name: str) -> bool:
        if name not in self._there and self._nft.has_chain(name):
            self._there.add(name)
        return name in self._there

    def _carried(self, elements: Elements) -> Iterator[Timed]:
        learned = self._nft.timed(LEARNED, 1000 * AFFINITY_SECONDS)
        names = (FRONTS, NODE_PORTS, INSIDE_FRONTS, INSIDE_PORTS) if learned else ()
        held = {(name, key): mark for name in names for key, mark in self._nft.elements(name).items()}
        return carried(learned, held, elements)

    def _unlearn(self, gone: set[tuple[int, Slot]]) -> None:
        """Clients that were bound to an endpoint which is gone may choose anew."""
        stale = [
            one.key
            for one in self._nft.timed(LEARNED, 1000 * AFFINITY_SECONDS)
            if ((int(one.key[0]) & GROUP_MASK) >> GROUP_SHIFT, one.data) in gone
        ]
        if stale:
            batch = self._nft.batch()
            batch.remove(LEARNED, stale)
            self._nft.commit(batch)


def remove() -> None:
    """Take the proxy's table away; established connections stay. Raises RulesetError."""
    ruleset.remove(TABLE)
