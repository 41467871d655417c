"""Services, EndpointSlices and pods with host ports as typed facts. PURE, and tolerant as `facts` says."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from typing import Any

from mini8s.agent.network.elements import PROTOCOLS
from mini8s.agent.network.facts import cluster_addresses, items, listening
from mini8s.agent.network.family import IPV4, Family
from mini8s.agent.proxy.layout import AFFINITY_SECONDS, Slot
from mini8s.objects import meta
from mini8s.objects.ip import by_family, family_of_address, pod_addresses
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import is_terminal

ZONE = "topology.kubernetes.io/zone"  # the label of a node


@dataclass(frozen=True, slots=True)
class Home:
    """What this host is to an endpoint: its node, and the zone that the node is in. Endpoints on `silent`
    nodes count where there are no others. All is of one `family` of addresses."""

    node: str
    zone: str = ""
    silent: Set[str] = frozenset()
    family: Family = IPV4


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a Service; `node` is 0 when it has no node port. Of a pod's host port `host` is the address
    it is answered on, 0.0.0.0 or :: for all."""

    name: str
    protocol: str
    number: int
    node: int = 0
    host: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that may serve, and whether it does: `spare` ones end soon and serve when no other does
    (KEP-1669), `far` ones are left to clients of other zones."""

    slot: Slot
    local: bool = False
    spare: bool = False
    far: bool = False
    homeless: bool = False  # of no node that anybody named: it may be here
    zones: tuple[str, ...] = ()  # that it is hinted at for; none: it isn't


@dataclass(frozen=True, slots=True)
class Service:
    """A Service with its endpoints, by port. Who was `born` first has an address that two want."""

    key: str
    addresses: tuple[str, ...]  # inside the cluster
    external: tuple[str, ...]  # answered for clients outside: externalIPs and load balancer addresses
    ports: tuple[Port, ...]
    endpoints: tuple[tuple[Endpoint, ...], ...]  # of the port at the same index
    affinity: int = 0  # seconds, 0 for none
    internal_local: bool = False
    external_local: bool = False
    balanced: tuple[str, ...] = ()  # which of `external` are a load balancer's
    sources: tuple[str, ...] = ()  # the only clients of these; none: all
    check_port: int = 0  # where a load balancer asks whether this host has endpoints
    born: str = ""

    @property
    def ready_here(self) -> int:
        """Pods of this host that serve, by address."""
        here = {one.slot[0] for ends in self.endpoints for one in ends if one.local and not one.spare}
        return len(here)


def service(obj: Obj, slices: Iterable[Obj], home: Home) -> Service | None:
    """The Service as facts; None when it has no address of its own in the family (headless, ExternalName)."""
    spec, family = obj.get("spec") or {}, home.family.name
    addresses = cluster_addresses(spec, family)
    if spec.get("type") == "ExternalName" or not addresses:
        return None
    ports = tuple(port for port in map(_port, items(spec.get("ports"))) if port)
    usable = [one for one in slices if one.get("addressType", IPV4.name) == family]
    balanced = _balanced(obj, family)
    others = (str(one) for one in spec.get("externalIPs") or [] if family_of_address(one) == family)
    return Service(
        key=meta.key(obj),
        addresses=addresses,
        external=tuple(dict.fromkeys((*others, *balanced))),
        ports=ports,
        endpoints=tuple(_endpoints(port, usable, home) for port in ports),
        affinity=_affinity(spec),
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=spec.get("externalTrafficPolicy") == "Local",
        balanced=balanced,
        sources=_sources(spec, home.family),
        check_port=_check_port(spec),
        born=_born(obj),
    )


def zone_of(node: Obj | None) -> str:
    return meta.labels(node).get(ZONE, "") if node else ""


def has_host_ports(pod: Obj, family: Family = IPV4) -> bool:
    return any(True for _ in _host_ports(pod, family))


def pod_service(pod: Obj, family: Family = IPV4) -> Service | None:
    """A pod's host ports, as node ports with one endpoint that keep the client's address, which is what the
    CNI's portmap does; None when the pod has none, has no address yet, or has ended."""
    address = by_family(pod_addresses(pod)).get(family.name)
    found = dict(_host_ports(pod, family))
    if not found or is_terminal(pod) or not address:
        return None
    return Service(
        key=meta.key(pod),
        addresses=(),
        external=(),
        ports=tuple(found),
        endpoints=tuple((Endpoint((address, target), local=True),) for target in found.values()),
        external_local=True,
        born=_born(pod),
    )


def _host_ports(pod: Obj, family: Family) -> Iterator[tuple[Port, int]]:
    """Each with the container's port. A pod in the host's network has its ports there anyway."""
    spec = pod.get("spec") or {}
    for container in [] if spec.get("hostNetwork") else listening(spec):
        for obj in items(container.get("ports")):
            number, target = obj.get("hostPort"), obj.get("containerPort")
            protocol, host = str(obj.get("protocol") or "TCP").lower(), str(obj.get("hostIP") or family.any)
            fits = family_of_address(host) == family.name
            if protocol in PROTOCOLS and _is_port(number) and _is_port(target) and fits:
                front = int(number or 0)
                yield Port(f"{host}:{front}", protocol, front, front, host), int(target or 0)


def _balanced(obj: Obj, family: str) -> tuple[str, ...]:
    """The load balancer's addresses. What arrives through one of mode Proxy has another address by then."""
    if (obj.get("spec") or {}).get("type") != "LoadBalancer":
        return ()
    balancer = (obj.get("status") or {}).get("loadBalancer") or {}
    given = [one.get("ip") for one in items(balancer.get("ingress")) if one.get("ipMode") != "Proxy"]
    return tuple(str(one) for one in given if family_of_address(one) == family)


def _sources(spec: Obj, family: Family) -> tuple[str, ...]:
    """Ranges that don't overlap, which the kernel's sets ask for; nothing when everybody may."""
    network = ipaddress.IPv4Network if family is IPV4 else ipaddress.IPv6Network
    networks: list[Any] = []
    for text in spec.get("loadBalancerSourceRanges") or []:
        try:
            networks.append(network(str(text).strip(), strict=False))
        except ValueError:
            continue  # of the other family
    found = tuple(map(str, ipaddress.collapse_addresses(networks)))
    return () if found == (f"{family.any}/0",) else found


def _affinity(spec: Obj) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    seconds = config.get("timeoutSeconds")
    return seconds if isinstance(seconds, int) and 0 < seconds <= 86400 else AFFINITY_SECONDS


def _check_port(spec: Obj) -> int:
    local = spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    port = spec.get("healthCheckNodePort")
    return int(port or 0) if local and _is_port(port) else 0


def _born(obj: Obj) -> str:
    """Sorts as the objects' ages do; the name decides between those of one second."""
    return f"{(obj.get('metadata') or {}).get('creationTimestamp') or ''} {meta.key(obj)}"


def _port(obj: Obj) -> Port | None:
    protocol = str(obj.get("protocol") or "TCP").lower()
    number = obj.get("port")
    if protocol not in PROTOCOLS or not _is_port(number):
        return None
    node = obj.get("nodePort")
    return Port(
        str(obj.get("name") or ""), protocol, int(number or 0), int(node or 0) if _is_port(node) else 0
    )


def _endpoints(port: Port, slices: Iterable[Obj], home: Home) -> tuple[Endpoint, ...]:
    """In an order that does not depend on that of the slices; an address twice counts once, ready first."""
    found: dict[Slot, Endpoint] = {}
    away: set[Slot] = set()
    for piece in slices:
        number = _target(port, piece)
        if not number:
            continue
        for obj in items(piece.get("endpoints")):
            endpoint = _endpoint(obj, number, home)
            if endpoint and (endpoint.slot not in found or found[endpoint.slot].spare):
                found[endpoint.slot] = endpoint
                away |= {endpoint.slot} if obj.get("nodeName") in home.silent else set()
    near = found.keys() - away
    return _hinted(tuple(found[slot] for slot in sorted(near or found)), home.zone)


def _hinted(endpoints: tuple[Endpoint, ...], zone: str) -> tuple[Endpoint, ...]:
    """Hints count when each ready endpoint has some and one is for this zone, as kube-proxy has it: a zone
    must not go without because slices are just being written."""
    ready = [one for one in endpoints if not one.spare]
    if not zone or not all(one.zones for one in ready) or not any(zone in one.zones for one in ready):
        return endpoints
    return tuple(replace(one, far=not one.spare and zone not in one.zones) for one in endpoints)


def _target(port: Port, piece: Obj) -> int:
    """The port number behind `port` in this slice, 0 when the slice doesn't have it."""
    for obj in items(piece.get("ports")):
        same = str(obj.get("name") or "") == port.name
        if same and str(obj.get("protocol") or "TCP").lower() == port.protocol and _is_port(obj.get("port")):
            return int(obj["port"])
    return 0


def _endpoint(obj: Obj, number: int, home: Home) -> Endpoint | None:
    """None when it must get no traffic. A missing `ready` means ready, as the API documents it."""
    conditions = obj.get("conditions") or {}
    ready = conditions.get("ready") is not False
    spare = not ready and bool(conditions.get("serving")) and bool(conditions.get("terminating"))
    addresses = obj.get("addresses") or []
    if not (ready or spare) or not addresses or not _may_serve(addresses[0], home.family.name):
        return None
    node = obj.get("nodeName")
    zones = items((obj.get("hints") or {}).get("forZones"))
    return Endpoint(
        (str(addresses[0]), number),
        local=node == home.node,
        spare=spare,
        homeless=not node,
        zones=tuple(str(one.get("name")) for one in zones),
    )


def _may_serve(value: Any, family: str) -> bool:
    """Anybody in any network may, but not what every host has of its own or what is no host: a Service must
    not lead into another host's loopback."""
    if family_of_address(value) != family:
        return False
    address = ipaddress.ip_address(value)
    odd = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return not odd


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 65536
