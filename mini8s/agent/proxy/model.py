"""Services and EndpointSlices as typed facts. PURE, and tolerant as `facts` says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mini8s.agent.network.facts import cluster_addresses, is_ipv4, items
from mini8s.agent.proxy.layout import PROTOCOLS, Slot
from mini8s.objects import meta
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a Service; `node` is 0 when it has no node port."""

    name: str
    protocol: str
    number: int
    node: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that may serve, and whether it does: `spare` ones end soon and serve when no
    other does."""

    slot: Slot
    local: bool = False
    spare: bool = False
    homeless: bool = False  # of no node that anybody named: it may be here


@dataclass(frozen=True, slots=True)
class Service:
    """A Service with its endpoints, by port."""

    key: str
    addresses: tuple[str, ...]  # inside the cluster
    external: tuple[str, ...]  # answered for clients outside: externalIPs and load balancer addresses
    ports: tuple[Port, ...]
    endpoints: tuple[tuple[Endpoint, ...], ...]  # of the port at the same index
    affinity: bool = False
    internal_local: bool = False
    external_local: bool = False


def service(obj: Obj, slices: Iterable[Obj], node: str) -> Service | None:
    """The Service as facts; None when it has no address of its own (headless, ExternalName)."""
    spec = obj.get("spec") or {}
    addresses = cluster_addresses(spec)
    if spec.get("type") == "ExternalName" or not addresses:
        return None
    ports = tuple(port for port in map(_port, items(spec.get("ports"))) if port)
    usable = [one for one in slices if one.get("addressType", "IPv4") == "IPv4"]
    return Service(
        key=meta.key(obj),
        addresses=addresses,
        external=tuple(address for address in _external_addresses(obj) if is_ipv4(address)),
        ports=ports,
        endpoints=tuple(_endpoints(port, usable, node) for port in ports),
        affinity=spec.get("sessionAffinity") == "ClientIP",
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=spec.get("externalTrafficPolicy") == "Local",
    )


def _external_addresses(obj: Obj) -> list[str]:
    balancer = (obj.get("status") or {}).get("loadBalancer") or {}
    given = [str(one.get("ip")) for one in items(balancer.get("ingress"))]
    return [str(one) for one in (obj.get("spec") or {}).get("externalIPs") or []] + given


def _port(obj: Obj) -> Port | None:
    protocol = str(obj.get("protocol") or "TCP").lower()
    number = obj.get("port")
    if protocol not in PROTOCOLS or not _is_port(number):
        return None
    node = obj.get("nodePort")
    return Port(
        str(obj.get("name") or ""), protocol, int(number or 0), int(node or 0) if _is_port(node) else 0
    )


def _endpoints(port: Port, slices: Iterable[Obj], node: str) -> tuple[Endpoint, ...]:
    """In an order that does not depend on that of the slices; an address twice counts once, ready first."""
    found: dict[Slot, Endpoint] = {}
    for piece in slices:
        number = _target(port, piece)
        if not number:
            continue
        for obj in items(piece.get("endpoints")):
            endpoint = _endpoint(obj, number, node)
            if endpoint and (endpoint.slot not in found or found[endpoint.slot].spare):
                found[endpoint.slot] = endpoint
    return tuple(found[slot] for slot in sorted(found))


def _target(port: Port, piece: Obj) -> int:
    """The port number behind `port` in this slice, 0 when the slice doesn't have it."""
    for obj in items(piece.get("ports")):
        same = str(obj.get("name") or "") == port.name
        if same and str(obj.get("protocol") or "TCP").lower() == port.protocol and _is_port(obj.get("port")):
            return int(obj["port"])
    return 0


def _endpoint(obj: Obj, number: int, node: str) -> Endpoint | None:
    """None when it must get no traffic. A missing `ready` means ready, as the API documents it."""
    conditions = obj.get("conditions") or {}
    ready = conditions.get("ready") is not False
    spare = not ready and bool(conditions.get("serving")) and bool(conditions.get("terminating"))
    addresses = obj.get("addresses") or []
    if not (ready or spare) or not addresses or not is_ipv4(addresses[0]):
        return None
    home = obj.get("nodeName")
    return Endpoint((str(addresses[0]), number), home == node, spare, not home)


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and 0 < value < 65536
