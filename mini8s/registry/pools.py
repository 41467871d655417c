"""Things of which there is only one each: addresses, ports, ranges. Each is held by one stored object.

Who holds what is derived from the stored objects, at start and again after every write (`settle`), so the
pool can not drift from the truth. A write that is under way has a claim on what it is about to store; two
writes never have claims on the same thing unless they write the same object.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain


@dataclass(eq=False, slots=True)
class Claim:
    """One write under way: the store key of its object, and the things it wants the object to hold."""

    holder: str
    things: set[str] = field(default_factory=set)


class Pool:
    """`reserved` are things that only one particular object may ever have."""

    def __init__(self, reserved: dict[str, str]) -> None:
        self._reserved = reserved
        self._held: dict[str, str] = {}
        self._by_holder: dict[str, frozenset[str]] = {}
        self._claims: dict[str, set[Claim]] = {}
        self._lock = threading.Lock()  # guards the three dicts, for a few lookups at a time

    def take(self, claim: Claim, thing: str) -> bool:
        """Claim a thing; False: somebody else has it."""
        with self._lock:
            if not self._free(claim.holder, thing):
                return False
            self._claims.setdefault(thing, set()).add(claim)
            claim.things.add(thing)
            return True

    def take_first(self, claim: Claim, candidates: Iterable[str]) -> str | None:
        """Claim the first free one; None: all are taken."""
        return next((thing for thing in candidates if self.take(claim, thing)), None)

    def reserved_for(self, holder: str) -> list[str]:
        return [thing for thing, owner in self._reserved.items() if owner == holder]

    def settle(self, claim: Claim, holds: Iterable[str]) -> None:
        """The write is over, whichever way it went: this is what its object holds now."""
        with self._lock:
            for thing in claim.things:
                self._claims[thing].discard(claim)
                if not self._claims[thing]:
                    del self._claims[thing]
            self._record(claim.holder, frozenset(holds))

    def _free(self, holder: str, thing: str) -> bool:
        if self._reserved.get(thing, holder) != holder or self._held.get(thing, holder) != holder:
            return False
        return all(claim.holder == holder for claim in self._claims.get(thing, ()))

    def _record(self, holder: str, holds: frozenset[str]) -> None:
        for thing in self._by_holder.pop(holder, frozenset()) - holds:
            if self._held.get(thing) == holder:
                del self._held[thing]
        for thing in holds:
            self._held.setdefault(thing, holder)
        if holds:
            self._by_holder[holder] = holds


class Turn:
    """Goes round a range of numbers, so that what was just given back is not given out at once.

    The first `apart` numbers are kept for those who ask for them by name, as long as there are others.
    """

    def __init__(self, size: int, apart: int, show: Callable[[int], str]) -> None:
        self._size = size
        self._apart = min(apart, size)
        self._show = show
        self._next = self._apart

    def __iter__(self) -> Iterator[str]:
        start = self._next
        for number in chain(range(start, self._size), range(self._apart, start), range(self._apart)):
            if number >= self._apart:
                self._next = number + 1
            yield self._show(number)
