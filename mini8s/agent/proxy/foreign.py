"""Other programs' nftables that drop what pods send through this host: found and told, never changed. PURE.

A packet must pass every base chain of the forward hook, so that no accept of ours undoes another table's
drop. The chain FORWARD of iptables has its own care in `agent/network/forwarding.py`, which can make room
where Docker lets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mini8s.agent.network.family import FAMILIES
from mini8s.agent.network.messages import attributes
from mini8s.objects import ip

_IPTABLES = ("filter", "FORWARD")
_OURS = "mini8s_"
_NAME_OF_TABLE, _NAME, _HOOK, _POLICY = 1, 3, 4, 5  # a chain's attributes
_FORWARD, _DROP = b"\0\0\0\2", b"\0\0\0\0"
_NAMES = {1: "inet"} | {one.number: one.nft for one in FAMILIES.values()}


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of any table. `forwards`: hooked where forwarded packets pass; `drops`: its policy."""

    family: str
    table: str
    name: str
    forwards: bool = False
    drops: bool = False


def chain(family: int, parts: Mapping[int, bytes]) -> Chain:
    """A chain as the kernel tells of it."""
    hook = dict(attributes(parts.get(_HOOK, b""))).get(1, b"")
    return Chain(
        family=_NAMES.get(family, ""),
        table=parts[_NAME_OF_TABLE].rstrip(b"\0").decode(),
        name=parts[_NAME].rstrip(b"\0").decode(),
        forwards=hook == _FORWARD,
        drops=parts.get(_POLICY) == _DROP,
    )


def drops_forwarding(chains: Iterable[Chain], cluster_cidr: str) -> str:
    """Whose chain is in the way and what to do about it; empty when none is."""
    nft = FAMILIES[ip.family(cluster_cidr)].nft
    for chain in chains:
        place = (chain.family, chain.table, chain.name)
        foreign = place != (nft, *_IPTABLES) and not chain.table.startswith(_OURS)
        if chain.forwards and chain.drops and foreign and chain.family in (nft, "inet"):
            where = " ".join(place)
            return (
                f"the nftables chain {where} drops forwarded packets: unless its rules accept them, Services "
                f"and pods reach no other host; let them pass with `nft insert rule {where} {nft} saddr "
                f"{cluster_cidr} accept` and `nft insert rule {where} {nft} daddr {cluster_cidr} accept`"
            )
    return ""
