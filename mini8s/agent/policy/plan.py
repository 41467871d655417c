"""From policies, pods and namespaces to elements, and from one set of elements to the next. PURE.

Everything is computed anew each round, from the picture as it is; what goes to the kernel is the difference.
Pods that share namespace, labels and named ports are judged once, and groups and port sets are kept by what
they mean, so that a round's numbers are those of the round before.
"""

from __future__ import annotations

import bisect
import ipaddress
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mini8s.agent.network.elements import Elements, Place, Values
from mini8s.agent.network.family import FAMILIES
from mini8s.agent.policy import ports
from mini8s.agent.policy.layout import (
    ALL_PORTS,
    BLOCKS,
    EGRESS,
    FIRST,
    INGRESS,
    PEERS,
    PORTS,
    SELF,
)
from mini8s.agent.policy.model import (
    Block,
    Interval,
    Labels,
    NamedPort,
    Pod,
    Pods,
    Policy,
    Rule,
    everywhere,
)
from mini8s.agent.policy.ports import Allowed
from mini8s.objects import ip

Kin = tuple[str, Labels, tuple[NamedPort, ...]]  # what pods that are judged alike have in common


@dataclass(frozen=True, slots=True)
class Picture:
    """All policies, labels of namespaces, pods of all hosts by what they have in common, and this host's: by
    addresses of one family."""

    policies: Sequence[Policy]
    namespaces: Mapping[str, Labels]
    pods: Mapping[Kin, Sequence[str]]
    local: Sequence[Pod]
    family: str = ip.IPV4


NOTHING = Picture((), {}, {}, ())


@dataclass(frozen=True, slots=True)
class Round:
    """What makes the kernel's elements those of the picture; removals come first."""

    remove: Sequence[Place] = ()
    add: Elements = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)


@dataclass(frozen=True, slots=True)
class _Group:
    """Pods whose connections in one direction are judged alike. `named`: the pods' own ports, where the rules
    ask for them."""

    direction: str
    policies: tuple[str, ...]
    named: tuple[NamedPort, ...] = ()


class Book:
    """The elements as they are in the kernel, and what their numbers mean. `first` is the lowest number that
    nothing in the kernel has."""

    def __init__(self, first: int = FIRST) -> None:
        self.elements: dict[Place, Values] = {}
        self._numbers: dict[Hashable, int] = {}
        self._next = max(first, FIRST)
        self._used: set[Hashable] = set()

    def change(self, picture: Picture) -> Round:
        self._used = set()
        wanted = dict(self._wanted(picture))
        self._numbers = {key: number for key, number in self._numbers.items() if key in self._used}
        old, self.elements = self.elements, wanted
        return Round(
            [place for place, data in old.items() if wanted.get(place) != data],
            {place: data for place, data in wanted.items() if old.get(place) != data},
        )

    def _wanted(self, picture: Picture) -> Iterator[tuple[Place, Values]]:
        groups: dict[_Group, list[Rule]] = {}
        policies = _by_namespace(picture.policies)
        for pod in picture.local:
            for direction in (INGRESS, EGRESS):
                applying = _applying(policies.get(pod.namespace, ()), pod, direction)
                if not applying:
                    continue
                rules = [rule for one in applying for rule in _rules(one, direction)]
                group = _Group(direction, tuple(one.key for one in applying), _named(direction, rules, pod))
                groups.setdefault(group, rules)
                yield (direction, (pod.address,)), (self._number(group),)
                yield (SELF, (pod.address, pod.address)), ()
        sets: set[Allowed] = set()
        for group, rules in groups.items():
            for place, allowed in _judgements(group, rules, self._number(group), picture):
                sets.add(allowed)
                yield place, (self._set_number(allowed),)
        for allowed in sets:
            for protocol, low, high in allowed or ():
                yield (PORTS, (self._set_number(allowed), protocol, f"{low}-{high}")), ()

    def _set_number(self, allowed: Allowed) -> int:
        return ALL_PORTS if allowed is None else self._number(allowed)

    def _number(self, key: Hashable) -> int:
        self._used.add(key)
        if key not in self._numbers:
            self._numbers[key] = self._next
            self._next += 1
        return self._numbers[key]


def kin(pods: Iterable[Pod]) -> dict[Kin, list[str]]:
    """Pods by what they have in common."""
    found: dict[Kin, list[str]] = {}
    for pod in pods:
        found.setdefault((pod.namespace, pod.labels, pod.ports), []).append(pod.address)
    return found


def _by_namespace(policies: Iterable[Policy]) -> dict[str, list[Policy]]:
    found: dict[str, list[Policy]] = {}
    for one in sorted(policies, key=lambda one: one.key):
        found.setdefault(one.namespace, []).append(one)
    return found


def _applying(policies: Iterable[Policy], pod: Pod, direction: str) -> list[Policy]:
    labels = dict(pod.labels)
    return [
        one
        for one in policies
        if (one.ingress if direction == INGRESS else one.egress) is not None and one.selector.matches(labels)
    ]


def _rules(policy: Policy, direction: str) -> Sequence[Rule]:
    return (policy.ingress if direction == INGRESS else policy.egress) or ()


def _named(direction: str, rules: Iterable[Rule], pod: Pod) -> tuple[NamedPort, ...]:
    """What of the pod's named ports its judgement depends on: only who is the destination resolves names."""
    if direction == EGRESS:
        return ()
    names = {port.name for rule in rules for port in rule.ports or () if port.name}
    return tuple(one for one in sorted(pod.ports) if one[0] in names)


def _judgements(
    group: _Group, rules: Sequence[Rule], number: int, picture: Picture
) -> Iterator[tuple[Place, Allowed]]:
    """What a group allows for whom. A pod is listed only where it may do more than its address says."""
    blocks = ports.cut(tuple(_blocks(group, rules, everywhere(picture.family))))
    shown = type(ipaddress.ip_address(FAMILIES[picture.family].any))
    for (first, last), allowed in blocks:
        yield (BLOCKS, (number, f"{shown(first)}-{shown(last)}")), allowed
    begins = [first for (first, _), _ in blocks]
    named = [rule for rule in rules if _names_within_blocks(rule)] if group.direction == EGRESS else ()
    for kin, addresses in picture.pods.items():
        granted = _granted(group, rules, kin, picture.namespaces)
        if granted is not None and not granted and not named:
            continue
        for address in addresses:
            there = _at(blocks, begins, address)
            more = [ports.resolved(rule.ports, kin[2]) for rule in named if _holds(rule, address)]
            allowed = ports.union((granted, there, *more))
            if allowed != there:
                yield (PEERS, (number, address)), allowed


def _blocks(group: _Group, rules: Iterable[Rule], everywhere: Interval) -> Iterator[tuple[Interval, Allowed]]:
    for rule in rules:
        allowed = ports.resolved(rule.ports, group.named)
        if rule.peers is None:
            yield everywhere, allowed
        for peer in rule.peers or ():
            if isinstance(peer, Block):
                yield from ((interval, allowed) for interval in peer.intervals)


def _names_within_blocks(rule: Rule) -> bool:
    """A pod gives its ports' names a meaning also to who is allowed its address and not the pod."""
    blocks = any(isinstance(peer, Block) for peer in rule.peers or ())
    return blocks and any(port.name for port in rule.ports or ())


def _holds(rule: Rule, address: str) -> bool:
    number = int(ipaddress.ip_address(address))
    return any(
        first <= number <= last
        for peer in rule.peers or ()
        if isinstance(peer, Block)
        for first, last in peer.intervals
    )


def _granted(group: _Group, rules: Iterable[Rule], kin: Kin, namespaces: Mapping[str, Labels]) -> Allowed:
    """What rules allow for pods of a kin as pods. A rule for everybody is here too: names of ports are known
    for pods alone."""
    named = kin[2] if group.direction == EGRESS else group.named
    return ports.union(
        ports.resolved(rule.ports, named)
        for rule in rules
        if rule.peers is None
        or any(isinstance(one, Pods) and _is(one, kin, namespaces) for one in rule.peers)
    )


def _is(peer: Pods | Block, kin: Kin, namespaces: Mapping[str, Labels]) -> bool:
    namespace, labels, _ = kin
    if isinstance(peer, Block):
        return False
    if peer.namespaces is None:
        if namespace != peer.own:
            return False
    elif namespace not in namespaces or not peer.namespaces.matches(dict(namespaces[namespace])):
        return False
    return peer.pods.matches(dict(labels))


def _at(blocks: Sequence[tuple[Interval, Allowed]], begins: Sequence[int], address: str) -> Allowed:
    number = int(ipaddress.ip_address(address))
    index = bisect.bisect_right(begins, number) - 1
    if index < 0 or blocks[index][0][1] < number:
        return ports.NOTHING
    return blocks[index][1]
