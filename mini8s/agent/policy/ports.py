"""Sets of ports, and addresses cut into intervals of equal ones. PURE.

What several rules allow together is a union. Here it is brought into one form, so that equal sets are equal
values, and so that no two ranges in the kernel touch the same address or port.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence

from mini8s.agent.policy.model import Interval, NamedPort, Port, PortRange

Allowed = frozenset[PortRange] | None  # None: everything, protocols without ports too
NOTHING: Allowed = frozenset()


def union(sets: Iterable[Allowed]) -> Allowed:
    """What is in any of them, as ranges with gaps between them."""
    ranges: set[PortRange] = set()
    for one in sets:
        if one is None:
            return None
        ranges |= one
    return frozenset(_joined(sorted(ranges)))


def resolved(ports: Sequence[Port] | None, named: Sequence[NamedPort]) -> Allowed:
    """A rule's ports at a destination that gives names to some of its own."""
    if ports is None:
        return None
    ranges = [(one.protocol, one.first, one.last) for one in ports if not one.name]
    for one in ports:
        ranges += [
            (protocol, number, number)
            for name, protocol, number in named
            if name == one.name and protocol == one.protocol
        ]
    return frozenset(_joined(sorted(ranges)))


@functools.lru_cache(maxsize=128)  # of a policy with a thousand blocks this takes a second, each round anew
def cut(blocks: tuple[tuple[Interval, Allowed], ...]) -> tuple[tuple[Interval, Allowed], ...]:
    """Overlapping intervals as ones that don't overlap, each with the union of all that lay there; neighbours
    that allow the same are one."""
    edges = sorted({edge for (first, last), _ in blocks for edge in (first, last + 1)})
    found: list[tuple[Interval, Allowed]] = []
    for first, after in itertools.pairwise(edges):
        here = union(ports for (begin, end), ports in blocks if begin <= first <= end)
        if here is not None and not here:
            continue
        if found and found[-1][1] == here and found[-1][0][1] + 1 == first:
            found[-1] = ((found[-1][0][0], after - 1), here)
        else:
            found.append(((first, after - 1), here))
    return tuple(found)


def _joined(ranges: Iterable[PortRange]) -> Iterator[PortRange]:
    """Sorted ranges, with those that touch made one."""
    held: PortRange | None = None
    for protocol, first, last in ranges:
        if held and held[0] == protocol and first <= held[2] + 1:
            held = (protocol, held[1], max(held[2], last))
        else:
            if held:
                yield held
            held = (protocol, first, last)
    if held:
        yield held
