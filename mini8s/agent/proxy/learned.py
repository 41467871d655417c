"""Which clients stay with their endpoint when everything is programmed anew. PURE.

A proxy that starts numbers its groups as it likes; what clients were bound to under the former numbers is
carried over by the fronts, which are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mini8s.agent.network.elements import Elements, Place, Timed, Values
from mini8s.agent.proxy.layout import AFFINITY, ENDPOINTS, GROUP_MASK


def carried(learned: list[Timed], fronts: Mapping[Place, Values], elements: Elements) -> Iterator[Timed]:
    """What was learned, under the numbers that the fronts have in `elements`; not what leads to endpoints
    that are no longer theirs. What was learned has a group's bits of the mark and the client's address as
    key, the client's endpoint as data."""
    renamed = {
        int(mark[0]) & GROUP_MASK: int(elements[place][0]) & GROUP_MASK
        for place, mark in fronts.items()
        if int(mark[0]) & AFFINITY and int(elements.get(place, (0,))[0]) & AFFINITY
    }
    places = {(key[0], slot) for (name, key), slot in elements.items() if name == ENDPOINTS}
    for one in learned:
        group = renamed.get(int(one.key[0]))
        if group is not None and (group, one.data) in places:
            yield Timed((group, one.key[1]), one.data, one.timeout, one.left)


def joined(maps: Sequence[list[Timed]]) -> list[Timed]:
    """What was learned, where it is in a map for each part of the data: of what has all parts."""
    first, *others = maps
    rest = [{one.key: one.data for one in found} for found in others]
    return [
        replace(one, data=sum((found[one.key] for found in rest), one.data))
        for one in first
        if all(one.key in found for found in rest)
    ]


def split(learned: Sequence[Timed], parts: int) -> list[list[Timed]]:
    """The other way: for one map as it is, for several a part of the data each."""
    if parts == 1:
        return [list(learned)]
    return [[replace(one, data=(one.data[part],)) for one in learned] for part in range(parts)]
