"""The shape of what lives in the kernel: constant chains, and maps that hold all state. PURE.

A front (an address and port that clients use) maps to a *mark*, one number that says everything about it:

    1 bit   no masquerade: the client's address is kept
    18 bits group: the set of endpoints to choose from
    13 bits class: 0x1000 session affinity + number of endpoints; 0 rejects, 0xfff drops

The class selects one of a few constant chains, which picks a slot of the group at random. The kernel's cost
of a change is therefore that of the elements that change, however many Services there are; a chain for each
Service would cost time in proportion to all of them. Chains are made a block of sizes at a time, when the
first group needs one, and stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mini8s.agent.network.elements import (
    MARK,
    NUMBER,
    ONLY_PORT,
    PORT,
    PROTOCOL,
    Field,
    Map,
    Shape,
    addresses_of,
)
from mini8s.agent.network.family import IPV4, Family

TABLE = "mini8s_proxy"

KEEP_CLIENT = 0x80000000
GROUP_SHIFT = 13
GROUP_MASK = 0x7FFFE000
GROUPS = 1 << 18
CLASS_MASK = 0x1FFF
AFFINITY = 0x1000
DROP = 0xFFF
REJECT = 0
MOST_ENDPOINTS = 0xFFE  # of one group: what the class has room for
STEP = 64  # sizes in a block of chains: they take 30 ms to make
AFFINITY_SECONDS = 10800  # Kubernetes' default of sessionAffinityConfig.clientIP.timeoutSeconds

FRONTS, NODE_PORTS, ENDPOINTS, HAIRPINS, LEARNED = "fe", "np", "eps", "hp", "aff"
LEARNED_PORTS = "afp"  # beside the addresses, where one map has no room for both
INSIDE_FRONTS, INSIDE_PORTS = "fi", "ni"  # the same for clients inside the cluster, where they differ
HOST_FRONTS = "ha"  # host ports of one address, which counts only while it is this host's
HOST_PORTS = "hn"  # host ports of all addresses
GUARDED, SOURCES = "fw", "src"  # fronts that only some clients may use, and these clients' ranges
TIMEOUTS = "aft"  # the chain that learns clients of a group whose timeout is not the default

Slot = tuple[str, int]  # where a packet may end: an address and a port


@dataclass(slots=True)
class Needs:
    """Which chains elements speak of: group sizes by block, and affinity timeouts in seconds."""

    blocks: set[int] = field(default_factory=set)
    timeouts: set[int] = field(default_factory=set)

    def size(self, endpoints: int) -> None:
        self.blocks.add((endpoints - 1) // STEP)


LEARNER = Field(
    lambda value: f"t{value}".encode(), lambda value: f"goto t{value}", lambda data: int(data[1:])
)


def shape(family: Family) -> Shape:
    """The table's maps in one family of addresses: each has a table of its own."""
    address, ranges, _ = addresses_of(family)
    front = (address, PROTOCOL, PORT)
    maps = {
        FRONTS: Map(front, (MARK,)),
        INSIDE_FRONTS: Map(front, (MARK,)),
        HOST_FRONTS: Map(front, (MARK,)),
        NODE_PORTS: Map((PROTOCOL, PORT), (MARK,)),
        INSIDE_PORTS: Map((PROTOCOL, PORT), (MARK,)),
        HOST_PORTS: Map((PROTOCOL, PORT), (MARK,)),
        GUARDED: Map(front),
        SOURCES: Map((*front, ranges)),
        ENDPOINTS: Map((MARK, NUMBER), (address, PORT)),
        HAIRPINS: Map((address, address)),
        TIMEOUTS: Map((MARK,), (LEARNER,), verdict=True),
    }
    if family is IPV4:
        maps[LEARNED] = Map((MARK, address), (address, PORT))
    else:  # as `skeleton` says why
        maps |= {LEARNED: Map((MARK, NUMBER), (address,)), LEARNED_PORTS: Map((MARK, NUMBER), (ONLY_PORT,))}
    return Shape(TABLE, maps, family)


SHAPE = shape(IPV4)
MAPS: Mapping[str, Map] = SHAPE.maps


def mark(group: int, kind: int, *, keep_client: bool = False) -> int:
    """The number a front maps to; `kind` is its class."""
    return (KEEP_CLIENT if keep_client else 0) | group << GROUP_SHIFT | kind
