"""Forgetting UDP connections that went to endpoints which are gone.

The kernel remembers for each UDP client where its first packet went, and sends all that follow there too.
When endpoints leave Services, those memories are removed in one go a round, however many they are.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Set
from typing import Any

from pyroute2.conntrack import Conntrack
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from mini8s.agent.proxy.plan import Flow

MOST_DUMPS = 8  # of single fronts; for more of them one dump of all UDP is cheaper


class ConntrackError(Exception):
    """The kernel did not give or take entries of its connection table."""


def clear(flows: Set[Flow]) -> int:
    """Forget these; how many there were. Raises ConntrackError."""
    fronts = {(flow.address, flow.port) for flow in flows}
    return _forget(lambda entry: any(flow in flows for flow in _meanings(entry)), fronts)


def keep(flows: Set[Flow]) -> int:
    """Forget all that went from these flows' fronts elsewhere than they say. Raises ConntrackError."""
    fronts = {(flow.address, flow.port) for flow in flows}
    return _forget(lambda entry: not any(flow in flows for flow in _meanings(entry)), fronts)


def _forget(wrong: Callable[[Any], bool], fronts: Set[tuple[str, int]]) -> int:
    """Forget the wrong ones among the entries of these fronts."""
    if not fronts:
        return 0
    try:
        with Conntrack() as table:
            found = [
                entry.tuple_orig
                for wanted in _filters(fronts)
                for entry in table.dump_entries(tuple_orig=wanted)
                if _of(entry.tuple_orig, fronts) and wrong(entry)
            ]
            return sum(_delete(table, one) for one in found)
    except (NetlinkError, OSError) as error:
        raise ConntrackError(f"the kernel's connection table: {error}") from error


def _filters(fronts: Set[tuple[str, int]]) -> list[NFCTAttrTuple]:
    """What the kernel is to leave out: Python takes 0.3 ms for each entry that it gets."""
    if len(fronts) > MOST_DUMPS:
        return [NFCTAttrTuple(proto=socket.IPPROTO_UDP)]
    return [
        NFCTAttrTuple(proto=socket.IPPROTO_UDP, daddr=address or None, dport=port)
        for address, port in sorted(fronts)
    ]


def _of(original: Any, fronts: Set[tuple[str, int]]) -> bool:
    return (original.daddr, original.dport) in fronts or ("", original.dport) in fronts


def _meanings(entry: Any) -> Iterator[Flow]:
    """The flows that an entry may be one of: of an address, or of a node port."""
    original, reply = entry.tuple_orig, entry.tuple_reply
    straight = (reply.saddr, reply.sport) == (original.daddr, original.dport)
    slot = None if straight else (reply.saddr, reply.sport)
    yield Flow("udp", original.daddr, original.dport, slot)
    yield Flow("udp", "", original.dport, slot)


def _delete(table: Any, original: Any) -> int:
    try:
        table.entry("del", tuple_orig=original)
    except NetlinkError as error:
        if error.code != 2:  # ENOENT: it ended by itself
            raise
        return 0
    return 1
