"""What a host must know to reach the pods of all others. PURE.

host-gw: hosts share a link, so a pod range is a route by its node's address. vxlan: packets to a range go
through a tunnel device. Everything the device needs follows from the nodes' objects (the tunnel address is
the first of the pod range, its MAC is made of that), so nobody has to be asked: fdb and neighbours are static
and never learned.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from mini8s.agent.network.facts import is_ipv4, is_range, items
from mini8s.objects import meta
from mini8s.objects.kinds import Obj

TUNNEL = "mini8s.vx"
TUNNEL_PORT = 8472  # UDP: the port that flannel and k3s use, so firewalls may know it
HOST_GW, VXLAN = "host-gw", "vxlan"


@dataclass(frozen=True, slots=True)
class Node:
    """What the network needs of a Node object; empty when it doesn't say it yet."""

    name: str
    address: str
    pod_cidr: str


@dataclass(frozen=True, slots=True)
class Route:
    """`destination` by the gateway `via`; through `device`, whose link it is taken to be on, when given."""

    destination: str
    via: str
    device: str = ""


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


def node(obj: Obj) -> Node:
    """Tolerant: what isn't an IPv4 address or range counts as not there."""
    addresses = items((obj.get("status") or {}).get("addresses"))
    internal = [str(one.get("address")) for one in addresses if one.get("type") == "InternalIP"]
    spec = obj.get("spec") or {}
    ranges = [str(one) for one in spec.get("podCIDRs") or [spec.get("podCIDR")] if one]
    return Node(
        meta.name(obj),
        next((one for one in internal if is_ipv4(one)), ""),
        next((one for one in ranges if is_range(one)), ""),
    )


def wanted(nodes: Iterable[Node], own: Node, backend: str) -> frozenset[Entry]:
    """The entries for all nodes but our own; one without an address or range has none yet."""
    entries: set[Entry] = set()
    for other in nodes:
        if other.name == own.name or not other.address or not other.pod_cidr or other.address == own.address:
            continue
        entries |= _tunnelled(other) if backend == VXLAN else {Route(other.pod_cidr, other.address)}
    return frozenset(entries)


def diff(current: Iterable[Entry], wanted: Iterable[Entry]) -> list[Action]:
    """What makes `current` into `wanted`: removals first, then forwards and neighbours before the routes that
    need them."""
    current, wanted = set(current), set(wanted)
    gone = sorted(current - wanted, key=_order, reverse=True)
    new = sorted(wanted - current, key=_order)
    return [*map(Remove, gone), *map(Add, new)]


def inside(nodes: Iterable[Node], cluster_cidr: str, service_cidr: str) -> tuple[str, ...]:
    """The ranges and addresses that traffic from pods reaches with the pod's own address."""
    hosts = {one.address for one in nodes if one.address and not _within(one.address, cluster_cidr)}
    return (cluster_cidr, service_cidr, *sorted(hosts))


def tunnel_address(pod_cidr: str) -> str:
    return str(ipaddress.IPv4Network(pod_cidr).network_address)


def tunnel_mac(pod_cidr: str) -> str:
    """A locally administered MAC that follows from the range."""
    packed = ipaddress.IPv4Network(pod_cidr).network_address.packed
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in packed)


def _tunnelled(other: Node) -> set[Entry]:
    via, mac = tunnel_address(other.pod_cidr), tunnel_mac(other.pod_cidr)
    return {Route(other.pod_cidr, via, TUNNEL), Neighbour(via, mac), Forward(mac, other.address)}


def _order(entry: Entry) -> tuple[int, str]:
    return (Forward, Neighbour, Route).index(type(entry)), str(entry)


def _within(address: str, cidr: str) -> bool:
    return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(cidr)
