"""A virtual packet: what the policies' chains do with a connection's first packet, given the elements.

The rules of `agent/policy/skeleton.py`, read as a program.
"""

from __future__ import annotations

import ipaddress

from mini8s.agent.network.elements import Elements
from mini8s.agent.policy.layout import ALL_PORTS, BLOCKS, EGRESS, INGRESS, PEERS, PORTS, SELF


def passes(elements: Elements, source: str, target: str, protocol: str, port: int) -> bool:
    """Whether the host that has these elements lets it through."""
    if (SELF, (source, target)) in elements:
        return True
    sends, gets = elements.get((EGRESS, (source,))), elements.get((INGRESS, (target,)))
    if sends and not _judged(elements, int(sends[0]), target, protocol, port):
        return False
    return not gets or _judged(elements, int(gets[0]), source, protocol, port)


def _judged(elements: Elements, number: int, peer: str, protocol: str, port: int) -> bool:
    number = _peer(elements, number, peer)
    number = _block(elements, number, peer)
    if number == ALL_PORTS:
        return True
    found = [
        key
        for name, key in elements
        if name == PORTS and key[:2] == (number, protocol) and _within(port, str(key[2]), int)
    ]
    assert len(found) <= 1, "ranges in the kernel must not overlap"
    return bool(found)


def _peer(elements: Elements, number: int, peer: str) -> int:
    return int(elements.get((PEERS, (number, peer)), (number,))[0])


def _block(elements: Elements, number: int, peer: str) -> int:
    found = [
        int(data[0])
        for (name, key), data in elements.items()
        if name == BLOCKS and key[0] == number and _within(peer, str(key[1]), ipaddress.IPv4Address)
    ]
    assert len(found) <= 1, "ranges in the kernel must not overlap"
    return found[0] if found else number


def _within(value: object, text: str, read: type) -> bool:
    first, last = map(read, text.split("-"))
    return bool(first <= read(value) <= last)
