"""The shape of what lives in the kernel: constant chains, and maps that hold all state. PURE.

A pod that is isolated in a direction maps to a *group*: the policies that apply to it there. A group and a
peer's address map to a *port set*: what these policies together allow for that peer. So a new connection is
judged by three or four lookups, however many policies there are, and a change costs its own elements.

Groups and port sets are numbers from one space, and none is ever used for something else: a packet that is
judged while a transaction is committed may meet the old half of an answer and the new one, and must then find
nothing, never somebody else's rules.
"""

from __future__ import annotations

from mini8s.agent.network.elements import (
    HANDLE,
    ORDERED_HANDLE,
    PORT_RANGE,
    PROTOCOL,
    Map,
    Shape,
    addresses_of,
)
from mini8s.agent.network.family import IPV4, Family

INGRESS, EGRESS, SELF, PEERS, BLOCKS, PORTS = "in", "out", "self", "peers", "blocks", "ports"

ALL_PORTS = 1  # the port set that allows everything, protocols that have no ports too
FIRST = 2  # the first number that may be given out

TABLE = "mini8s_policy"


def shape(family: Family) -> Shape:
    """The table's maps in one family of addresses: each has a table of its own."""
    address, _, addresses = addresses_of(family)
    maps = {
        INGRESS: Map((address,), (HANDLE,)),
        EGRESS: Map((address,), (HANDLE,)),
        SELF: Map((address, address)),
        PEERS: Map((HANDLE, address), (HANDLE,)),
        BLOCKS: Map((ORDERED_HANDLE, addresses), (HANDLE,)),
        PORTS: Map((ORDERED_HANDLE, PROTOCOL, PORT_RANGE)),
    }
    return Shape(TABLE, maps, family)


SHAPE = shape(IPV4)
