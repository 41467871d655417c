"""What a host must know to reach the pods of all others. PURE.

Hosts that share a link reach each other's pods by a route by the node's address; to all others packets go
through a tunnel device, and with the backend vxlan to everybody. Which it is, each pair finds by itself, so
that masks have to agree. Everything the device needs follows from the nodes' objects (the tunnel address is
the first of the pod range, its MAC is made of that), so nobody has to be asked: fdb and neighbours are static
and never learned.

All this is of one family of addresses at a time. Where the cluster has two, one device carries both: its
packets go between the hosts' first addresses, and its MAC is made of the first range.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mini8s.objects import ip, meta
from mini8s.objects.kinds import Obj

TUNNEL = "mini8s.vx"
TUNNEL_PORT = 8472  # UDP: the port that flannel and k3s use, so firewalls may know it
HOST_GW, VXLAN = "host-gw", "vxlan"
NO_WIDTHS: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Node:
    """What the network needs of a Node object in one family; empty when it doesn't say it yet. `first` is
    what the node has in the cluster's first family, when that is another."""

    name: str
    address: str
    pod_cidr: str
    first: Node | None = None

    @property
    def outer(self) -> Node:
        """How the tunnel's packets reach it."""
        return self.first or self


@dataclass(frozen=True, slots=True)
class Route:
    """`destination` by the gateway `via`; through `device`, whose link it is taken to be on, when given.
    `mtu` is given where the way there is narrower than the device."""

    destination: str
    via: str
    device: str = ""
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The MAC of an address in the tunnel."""

    address: str
    mac: str


@dataclass(frozen=True, slots=True)
class Forward:
    """The host behind which a MAC of the tunnel is."""

    mac: str
    host: str


Entry = Route | Neighbour | Forward


@dataclass(frozen=True, slots=True)
class Add:
    entry: Entry


@dataclass(frozen=True, slots=True)
class Remove:
    entry: Entry


Action = Add | Remove


def node(obj: Obj, family: str = ip.IPV4, first: str = "") -> Node:
    """Tolerant: what isn't an address or range of the family counts as not there. `first`: the cluster's
    first family, when this is the second."""
    spec = obj.get("spec") or {}
    ranges = ip.by_family(spec.get("podCIDRs") or [spec.get("podCIDR")])
    return Node(
        meta.name(obj),
        ip.node_addresses(obj).get(family, ""),
        ranges.get(family, ""),
        node(obj, first) if first and first != family else None,
    )


def others(nodes: Iterable[Node], own: Node) -> tuple[Node, ...]:
    """All nodes but our own that say where they and their pods are, also in the first family."""
    return tuple(
        one
        for one in nodes
        if one.name != own.name
        and one.address != own.address
        and all((one.address, one.pod_cidr, one.outer.address, one.outer.pod_cidr))
    )


def tunnelled(others: Iterable[Node], backend: str, near: Collection[str]) -> frozenset[str]:
    """The addresses of hosts that are reached through the tunnel; `near` are those on a link of this host."""
    return frozenset(one.address for one in others if backend == VXLAN or one.address not in near)


def wanted(
    nodes: Iterable[Node], own: Node, far: Collection[str], widths: Mapping[str, int] = NO_WIDTHS
) -> frozenset[Entry]:
    """The entries for all nodes but our own; one without an address or range has none yet. `far` are the
    hosts behind the tunnel, `widths` how large a packet may be inside the tunnel to those where the way is
    narrow."""
    entries: set[Entry] = set()
    for other in others(nodes, own):
        if other.address in far:
            entries |= _tunnelled(other, widths.get(other.outer.address, 0))
        else:
            entries.add(Route(other.pod_cidr, other.address))
    return frozenset(entries)


def diff(current: Iterable[Entry], wanted: Iterable[Entry]) -> list[Action]:
    """What makes `current` into `wanted`: removals first, then forwards and neighbours before the routes that
    need them. A route that changes is replaced: without one, packets to pods would leave the cluster."""
    current, wanted = set(current), set(wanted)
    stays = {one.destination for one in wanted if isinstance(one, Route)}
    replaced = {one for one in current if isinstance(one, Route) and one.destination in stays}
    gone = sorted(current - wanted - replaced, key=_order, reverse=True)
    new = sorted(wanted - current, key=_order)
    return [*map(Remove, gone), *map(Add, new)]


def inside(nodes: Iterable[Node], cluster_cidr: str, service_cidr: str) -> tuple[str, ...]:
    """The ranges and addresses that traffic from pods reaches with the pod's own address."""
    hosts = {one.address for one in nodes if one.address and not _within(one.address, cluster_cidr)}
    return (cluster_cidr, service_cidr, *sorted(hosts))


def tunnel_address(pod_cidr: str) -> str:
    return str(ipaddress.ip_network(pod_cidr).network_address)


def tunnel_mac(pod_cidr: str) -> str:
    """A locally administered MAC that follows from the range: of an IPv6 one from the last 32 bits of its
    prefix, which tell the ranges of a cluster apart however long they are."""
    network = ipaddress.ip_network(pod_cidr)
    number = int(network.network_address)
    if network.version == 6:
        number >>= network.max_prefixlen - network.prefixlen
    return "0a:58:" + (number & 0xFFFFFFFF).to_bytes(4).hex(":")


def _tunnelled(other: Node, mtu: int) -> set[Entry]:
    via, mac = tunnel_address(other.pod_cidr), tunnel_mac(other.outer.pod_cidr)
    forward = Forward(mac, other.outer.address)
    return {Route(other.pod_cidr, via, TUNNEL, mtu), Neighbour(via, mac), forward}


def _order(entry: Entry) -> tuple[int, str]:
    return (Forward, Neighbour, Route).index(type(entry)), str(entry)


def _within(address: str, cidr: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
