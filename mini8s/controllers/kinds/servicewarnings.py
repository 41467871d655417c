"""What a Service asks for and does not get as it was meant, told by an event: an external address that an
older Service has, and endpoints, written by hand, at which no pod can be.

Nothing is refused and nothing left out for it: endpoints outside the cluster are as good as any, and may
well be meant, but an address that is in the range of pods, and in no node's part of it, leads nowhere. What
our own controller makes of pods is not looked at. What was told is remembered while the server runs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from mini8s.controllers.actions import NOTHING, WARNING, Plan, Tell
from mini8s.controllers.base import Context, Source
from mini8s.controllers.kinds.endpoints.slices import MANAGED_BY, MANAGER, by_service
from mini8s.objects import host_ports, meta
from mini8s.objects.kinds import ENDPOINTSLICES, NODES, SERVICES, Obj

BY_HAND = "by hand"  # the index of slices that our own controller did not make, by their Service
Problem = tuple[str, str]  # an event's reason and message


class ServiceWarnings:
    name = "service-warnings"

    def __init__(self, context: Context) -> None:
        self._services = context.cache(SERVICES, {host_ports.OUTWARD: host_ports.outward})
        self._nodes = context.cache(NODES)
        self._slices = context.cache(ENDPOINTSLICES, {BY_HAND: by_hand})
        self._cluster = context.settings.cluster_cidr
        self._told: dict[str, frozenset[Problem]] = {}
        self.sources = (
            Source(SERVICES, self._service_changed),
            Source(
                ENDPOINTSLICES, lambda old, new: {key for one in (old, new) if one for key in by_hand(one)}
            ),
            Source(NODES, self._node_changed),
        )

    def plan(self, key: str) -> Plan:
        service = self._services.get(*meta.split_key(key))
        if service is None or meta.deleting(service):
            self._told.pop(key, None)
            return NOTHING
        found = list(taken(service, self._outward()))
        for piece in self._slices.index(BY_HAND, key):
            found += strays(piece, self._nodes.list(), self._cluster)
        before = self._told.pop(key, frozenset())
        if found:
            self._told[key] = frozenset(found)
        events = tuple(Tell(service, WARNING, *one) for one in dict.fromkeys(found) if one not in before)
        return Plan(events, said="; ".join(message for _, message in found))

    def _service_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Its own, and all that want external addresses when it has some."""
        yield meta.key(new or old or {})
        if any(host_ports.outward(one) for one in (old, new) if one):
            yield from (meta.key(one) for one in self._outward())

    def _outward(self) -> Sequence[Obj]:
        return self._services.index(host_ports.OUTWARD, host_ports.EVERY)

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        if (_ranges(old) if old else None) == (_ranges(new) if new else None):
            return ()
        return {key for piece in self._slices.list() for key in by_hand(piece)}


def by_hand(piece: Obj) -> Sequence[str]:
    """The index function for BY_HAND."""
    return () if meta.labels(piece).get(MANAGED_BY) == MANAGER else tuple(by_service(piece))


def taken(service: Obj, others: Iterable[Obj]) -> Iterator[Problem]:
    """Ports at its external addresses that an older Service has."""
    addresses, wanted = host_ports.external(service), set(host_ports.wanted(service))
    if not addresses:
        return
    for other in others:
        if meta.uid(other) == meta.uid(service) or host_ports.age(other) > host_ports.age(service):
            continue
        held = host_ports.held(other)
        for address in addresses:
            for protocol, port in sorted(wanted & held.get(address, set())):
                who = f"{port}/{protocol} of {address} is taken by Service {meta.key(other)}"
                yield "ExternalAddressTaken", f"port {who}, which is older"


def strays(piece: Obj, nodes: Sequence[Obj], cluster: str) -> Iterator[Problem]:
    """Endpoints at which no pod can be. One that says its node must be at an address of that; a node that is
    not there, or has no range yet, says nothing."""
    every = {meta.name(node): _ranges(node) for node in nodes}
    for endpoint in piece.get("endpoints") or ():
        node = endpoint.get("nodeName") or ""
        for address in endpoint.get("addresses") or ():
            where = every.get(node, []) if node else [one for ranges in every.values() for one in ranges]
            if not _odd(address, where, "" if node else cluster):
                continue
            place = f"node {node}" if node else "any node, though in the range of pods"
            yield (
                "EndpointOutOfRange",
                f"{address} of EndpointSlice {meta.name(piece)} is no address of {place}",
            )


def _odd(address: str, ranges: Sequence[str], cluster: str) -> bool:
    """Whether it is in none of these ranges; given the cluster's, only when it is in that."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False  # a name
    same = [net for one in ranges if (net := ipaddress.ip_network(one)).version == found.version]
    if cluster and not any(found in ipaddress.ip_network(one) for one in cluster.split(",")):
        return False
    return bool(same) and not any(found in net for net in same)


def _ranges(node: Obj) -> list[str]:
    """Where a node and its pods are; nothing before it has a range."""
    spec = node.get("spec") or {}
    pods = [str(one) for one in spec.get("podCIDRs") or [spec.get("podCIDR")] if one]
    listed = (node.get("status") or {}).get("addresses") or ()
    own = [str(one["address"]) for one in listed if one.get("type") in ("InternalIP", "ExternalIP")]
    return [*pods, *own] if pods else []
