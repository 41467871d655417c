"""Which elements of the kernel's maps change when Services do. PURE.

`Book` is what the kernel holds by now; a round plans the Services that changed against it, so that its cost
is that of the change. Invariants: a group's slots are dense (0 … n-1, its class says n), removing one moves
the last into its place; a round on its own result is empty; a front belongs to one Service, the oldest that
wants it (so that all hosts agree), and the others wait until it is free.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mini8s.agent.network.elements import Elements, Place, Values
from mini8s.agent.network.family import IPV4, IPV6
from mini8s.agent.proxy.layout import (
    AFFINITY,
    AFFINITY_SECONDS,
    DROP,
    ENDPOINTS,
    FRONTS,
    GROUP_SHIFT,
    GROUPS,
    GUARDED,
    HAIRPINS,
    HOST_FRONTS,
    HOST_PORTS,
    INSIDE_FRONTS,
    INSIDE_PORTS,
    MOST_ENDPOINTS,
    NODE_PORTS,
    REJECT,
    SOURCES,
    TIMEOUTS,
    Needs,
    Slot,
    mark,
)
from mini8s.agent.proxy.model import Endpoint, Port, Service

GroupKey = tuple[str, str, bool]  # a Service's port by name and protocol; whether only of this node
_INSIDE = {FRONTS: INSIDE_FRONTS, NODE_PORTS: INSIDE_PORTS}
_ANYWHERE = frozenset({IPV4.any, IPV6.any})
_GUARDS = frozenset({GUARDED, SOURCES})  # belong to whom the front belongs to
_SHARED = _GUARDS | {HAIRPINS, ENDPOINTS, TIMEOUTS}  # maps whose keys nobody owns


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints to choose from, under a number that the fronts' marks carry."""

    number: int
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """Connections without a handshake, of which the kernel remembers where they went: from a front to `slot`,
    or past it when None, which is all there may be of a front that nobody serves. `address` is empty for a
    node port: every address of this host."""

    protocol: str
    address: str
    port: int
    slot: Slot | None


@dataclass(frozen=True, slots=True)
class Programmed:
    """One Service as the kernel has it."""

    groups: Mapping[GroupKey, Group] = field(default_factory=dict)
    elements: Elements = field(default_factory=dict)
    flows: frozenset[Flow] = frozenset()  # those of a protocol without a handshake
    sticky: bool = False
    born: str = ""


NOTHING = Programmed()


@dataclass(slots=True)
class Round:
    """What one transaction changes, and what is to be cleaned up after it."""

    remove: dict[Place, Values] = field(default_factory=dict)
    add: dict[Place, Values] = field(default_factory=dict)
    stale: set[Flow] = field(default_factory=set)
    unlearn: set[tuple[int, Slot]] = field(default_factory=set)  # affinity to a group's former endpoint
    again: set[str] = field(default_factory=set)  # Services whose front has become free
    needs: Needs = field(default_factory=Needs)

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)


class Numbers:
    """Group numbers; one that was given back is given again as late as possible."""

    def __init__(self) -> None:
        self._free: deque[int] = deque()
        self._next = 1

    def take(self) -> int:
        if self._next < GROUPS:
            self._next += 1
            return self._next - 1
        return self._free.popleft()

    def give_back(self, number: int) -> None:
        self._free.append(number)


class Book:
    """Everything that is programmed, by Service."""

    def __init__(self) -> None:
        self.services: dict[str, Programmed] = {}
        self.needs = Needs({0})  # of all that ever was: chains stay
        self.waiting: dict[Place, set[str]] = {}  # fronts that a second Service wants, too
        self.size: Counter[str] = Counter()  # elements by map
        self._owners: dict[Place, str] = {}
        self._hairpins: Counter[Place] = Counter()
        self._numbers = Numbers()

    def change(self, wanted: Mapping[str, Service | None]) -> Round:
        """Note that these Services are (or, None, are no more); what that changes."""
        delta = Round()
        before = {key: self.services.get(key, NOTHING) for key in wanted}
        after = {
            key: _Draft(service, before[key], self._numbers, delta.needs).programmed() if service else NOTHING
            for key, service in wanted.items()
        }
        for key in wanted:
            self._leave(delta, key, before[key].elements, after[key].elements)
        for key in wanted:
            refused = self._enter(delta, key, before[key].elements, after[key])
            self._note(key, after[key], refused)
            _compare(delta, before[key], after[key])
        self._free_groups(before, after)
        self.needs.blocks |= delta.needs.blocks
        self.needs.timeouts |= delta.needs.timeouts
        return delta

    def with_waiting(self, keys: set[str]) -> set[str]:
        """These Services and those that wait for what they have: a front passes on in one transaction."""
        waiting = [more for place, more in self.waiting.items() if self._owners.get(place) in keys]
        return keys.union(*waiting)

    @property
    def elements(self) -> dict[Place, Values]:
        """All that the kernel should hold."""
        return {place: data for one in self.services.values() for place, data in one.elements.items()}

    @property
    def flows(self) -> set[Flow]:
        """Where clients of a protocol without a handshake may be remembered to have gone."""
        return {flow for one in self.services.values() for flow in one.flows}

    def _leave(self, delta: Round, key: str, old: Elements, new: Elements) -> None:
        for place, data in old.items():
            if new.get(place) == data:
                continue
            if place[0] == HAIRPINS:
                self._hairpins[place] -= 1
                if self._hairpins[place]:
                    continue
                del self._hairpins[place]
            elif self._owners.get(place) == key and place not in new:
                del self._owners[place]
                delta.again |= self.waiting.pop(place, set())
            delta.remove[place] = data

    def _enter(self, delta: Round, key: str, old: Elements, new: Programmed) -> set[Place]:
        """The places that another Service has."""
        refused = set()
        for place, data in new.elements.items():
            if place[0] in _GUARDS and self._owners.get((FRONTS, place[1][:3])) != key:
                refused.add(place)
                continue
            if place[0] not in _SHARED and not self._own(delta, place, key, new.born):
                refused.add(place)
                self.waiting.setdefault(place, set()).add(key)
                continue
            if old.get(place) == data:
                continue
            if place[0] == HAIRPINS:
                self._hairpins[place] += 1
                if self._hairpins[place] > 1:
                    continue
            if delta.remove.get(place) == data:
                del delta.remove[place]
            else:
                delta.add[place] = data
        return refused

    def _own(self, delta: Round, place: Place, key: str, born: str) -> bool:
        """Whether the Service gets a place: nobody has it, or a younger one, which is to wait."""
        owner = self._owners.setdefault(place, key)
        if owner == key:
            return True
        younger = self.services.get(owner, NOTHING)
        if younger.born <= born:
            return False
        self._owners[place] = key
        self.waiting.setdefault(place, set()).add(owner)
        kept = dict(younger.elements)
        for one in younger.elements:
            if one == place or (one[0] in _GUARDS and (FRONTS, one[1][:3]) == place):
                self._take(delta, one, kept.pop(one))
        self.services[owner] = replace(younger, elements=kept)
        return True

    def _take(self, delta: Round, place: Place, data: Values) -> None:
        """Out of the kernel, or out of what is about to be put there."""
        self.size[place[0]] -= 1
        if delta.add.get(place) == data:
            del delta.add[place]
        else:
            delta.remove[place] = data

    def _note(self, key: str, programmed: Programmed, refused: set[Place]) -> None:
        for place in [place for place, keys in self.waiting.items() if key in keys and place not in refused]:
            self.waiting[place].discard(key)
            if not self.waiting[place]:
                del self.waiting[place]
        if refused:
            kept = {place: data for place, data in programmed.elements.items() if place not in refused}
            programmed = replace(programmed, elements=kept)
        old = self.services.pop(key, NOTHING)
        self.size.subtract(name for name, _ in old.elements)
        self.size.update(name for name, _ in programmed.elements)
        if programmed.groups or programmed.elements:
            self.services[key] = programmed

    def _free_groups(self, before: Mapping[str, Programmed], after: Mapping[str, Programmed]) -> None:
        for key, old in before.items():
            kept = {group.number for group in after[key].groups.values()}
            for group in old.groups.values():
                if group.number not in kept:
                    self._numbers.give_back(group.number)


def seat(current: tuple[Slot, ...], wanted: Iterable[Slot]) -> tuple[Slot, ...]:
    """`wanted` in dense slots, moving as few of `current` as can be."""
    wanted = list(wanted)
    stay, had = set(wanted), set(current)
    moved = [slot for slot in current[len(wanted) :] if slot in stay]
    spare = deque(moved + [slot for slot in wanted if slot not in had])
    return tuple(
        current[i] if i < len(current) and current[i] in stay else spare.popleft() for i in range(len(wanted))
    )


class _Draft:
    """A Service on its way to elements."""

    def __init__(self, service: Service, old: Programmed, numbers: Numbers, needs: Needs) -> None:
        self._service, self._old, self._numbers, self._needs = service, old, numbers, needs
        self._groups: dict[GroupKey, Group] = {}
        self._elements: dict[Place, Values] = {}
        self._flows: set[Flow] = set()

    def programmed(self) -> Programmed:
        service = self._service
        for port, endpoints in zip(service.ports, service.endpoints, strict=True):
            for address in service.addresses:
                place = (FRONTS, (address, port.protocol, port.number))
                self._front(place, port, endpoints, local=service.internal_local)
            for address in service.external:
                self._outward((FRONTS, (address, port.protocol, port.number)), port, endpoints)
            for address in service.balanced if service.sources else ():
                self._guard((address, port.protocol, port.number))
            if port.host in _ANYWHERE:
                self._front((HOST_PORTS, (port.protocol, port.node)), port, endpoints, local=True, keep=True)
            elif port.host:
                place = (HOST_FRONTS, (port.host, port.protocol, port.node))
                self._front(place, port, endpoints, local=True, keep=True)
            elif port.node:
                self._outward((NODE_PORTS, (port.protocol, port.node)), port, endpoints)
        sticky = bool(service.affinity)
        return Programmed(self._groups, self._elements, frozenset(self._flows), sticky, service.born)

    def _outward(self, place: Place, port: Port, endpoints: Iterable[Endpoint]) -> None:
        """A front for clients outside. Clients inside are not held to its policy, as upstream has it."""
        local = self._service.external_local
        self._front(place, port, endpoints, local=local, keep=local)
        if local:
            self._front((_INSIDE[place[0]], place[1]), port, endpoints, local=False, keep=True)

    def _guard(self, front: Values) -> None:
        self._elements[GUARDED, front] = ()
        for source in self._service.sources:
            self._elements[SOURCES, (*front, source)] = ()

    def _front(
        self, place: Place, port: Port, endpoints: Iterable[Endpoint], *, local: bool, keep: bool = False
    ) -> None:
        """`local`: only endpoints of this host; `keep`: the client's address."""
        slots = _serving(one for one in endpoints if (one.local if local else not one.far))
        group = self._group((port.name, port.protocol, local), slots, endpoints)
        if group:
            kind = len(group.slots) | (AFFINITY if self._service.affinity else 0)
            number = mark(group.number, kind, keep_client=keep)
        else:
            # told apart as upstream does: nobody serves, or somebody does but not where the policy allows
            number = mark(0, DROP if _serving(endpoints) else REJECT)
        self._elements[place] = (number,)
        if port.protocol == "udp":
            address = str(place[1][0]) if len(place[1]) == 3 else ""
            front = int(place[1][-1])
            self._flows |= {Flow("udp", address, front, slot) for slot in (group.slots if group else (None,))}

    def _group(self, key: GroupKey, slots: list[Slot], endpoints: Iterable[Endpoint]) -> Group | None:
        """The group of these slots, with its elements; None when there are no slots."""
        if not slots or key in self._groups:
            return self._groups.get(key)
        old = self._old.groups.get(key)
        number = old.number if old else self._numbers.take()
        group = Group(number, seat(old.slots if old else (), slots[:MOST_ENDPOINTS]))
        self._groups[key] = group
        self._needs.size(len(group.slots))
        for index, slot in enumerate(group.slots):
            self._elements[ENDPOINTS, (number << GROUP_SHIFT, index)] = slot
        if self._service.affinity not in (0, AFFINITY_SECONDS):
            self._needs.timeouts.add(self._service.affinity)
            self._elements[TIMEOUTS, (number << GROUP_SHIFT,)] = (self._service.affinity,)
        for endpoint in endpoints:
            if endpoint.local or endpoint.homeless:
                address = endpoint.slot[0]
                self._elements[HAIRPINS, (address, address)] = ()
        return group


def _serving(endpoints: Iterable[Endpoint]) -> list[Slot]:
    """Those that are ready, or when there are none, those that end but still serve."""
    endpoints = list(endpoints)
    ready = [endpoint.slot for endpoint in endpoints if not endpoint.spare]
    return ready or [endpoint.slot for endpoint in endpoints]


def _compare(delta: Round, old: Programmed, new: Programmed) -> None:
    """What is to be forgotten because of the change from `old` to `new`."""
    delta.stale |= old.flows - new.flows
    fronts = {(flow.protocol, flow.address, flow.port) for flow in old.flows}
    for flow in new.flows - old.flows:
        if flow.slot and (flow.protocol, flow.address, flow.port) not in fronts:
            delta.stale.add(Flow(flow.protocol, flow.address, flow.port, None))
    for key, group in old.groups.items() if old.sticky else ():
        kept = new.groups.get(key)
        slots = set(kept.slots) if kept and kept.number == group.number else set()
        delta.unlearn |= {(group.number, slot) for slot in group.slots if slot not in slots}
