"""A virtual packet: what the proxy's chains do with a connection's first packet, given the elements.

The rules of `agent/proxy/skeleton.py`, read as a program: what the plan decides is tested without a kernel,
and that the kernel reads the rules the same way is what the tests on hosts are for.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mini8s.agent.network.elements import Elements, Values
from mini8s.agent.proxy.layout import (
    AFFINITY,
    AFFINITY_SECONDS,
    CLASS_MASK,
    DROP,
    ENDPOINTS,
    FRONTS,
    GROUP_MASK,
    GUARDED,
    HOST_FRONTS,
    HOST_PORTS,
    INSIDE_FRONTS,
    INSIDE_PORTS,
    KEEP_CLIENT,
    NODE_PORTS,
    REJECT,
    SOURCES,
    TIMEOUTS,
    Slot,
)

SERVICES, PODS, HOST = "10.43.", "10.42.", "10.99.0."  # what the addresses of each begin with
OUTSIDE = "192.0.2.1"


@dataclass(frozen=True)
class Verdict:
    """What the chains do with a first packet."""

    word: str  # passes, rejected, dropped, sent
    to: frozenset[Slot] = frozenset()
    masqueraded: bool = False
    sticky: int = 0  # seconds


REJECTED, DROPPED, PASSES = Verdict("rejected"), Verdict("dropped"), Verdict("passes")


def sent(*slots: Slot, masqueraded: bool = False, sticky: int = 0) -> Verdict:
    return Verdict("sent", frozenset(slots), masqueraded, sticky)


def packet(
    elements: Elements, to: str, number: int, *, protocol: str = "tcp", source: str = "10.42.9.9"
) -> Verdict:
    """From `source` to an address and port. Addresses 10.99.0.x are this host's own."""
    front, port = (to, protocol, number), (protocol, number)
    if (GUARDED, front) in elements and not _allowed(elements, front, source):
        return DROPPED
    here = to.startswith(HOST)
    maps = [(FRONTS, front)]
    if source.startswith((PODS, HOST)):
        maps = [(INSIDE_FRONTS, front), *([(INSIDE_PORTS, port)] if here else []), *maps]
    if here:
        maps += [(HOST_FRONTS, front), (NODE_PORTS, port), (HOST_PORTS, port)]
    mark = next((int(elements[place][0]) for place in maps if place in elements), None)
    if mark is None:
        return REJECTED if to.startswith(SERVICES) else PASSES
    kind = mark & CLASS_MASK
    if kind in (REJECT, DROP):
        return REJECTED if kind == REJECT else DROPPED
    slots = [elements[ENDPOINTS, (mark & GROUP_MASK, i)] for i in range(kind & ~AFFINITY)]  # a gap raises
    inside = to.startswith(SERVICES)
    masqueraded = not source.startswith(PODS) if inside else not mark & KEEP_CLIENT
    seconds = elements.get((TIMEOUTS, (mark & GROUP_MASK,)), (AFFINITY_SECONDS,))[0]
    return sent(*slots, masqueraded=masqueraded, sticky=int(seconds) if kind & AFFINITY else 0)  # type: ignore[arg-type]


def _allowed(elements: Elements, front: Values, source: str) -> bool:
    ranges = [key[3] for name, key in elements if name == SOURCES and key[:3] == front]
    return any(ipaddress.ip_address(source) in ipaddress.ip_network(str(one)) for one in ranges)
