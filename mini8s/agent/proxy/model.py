"""Services, EndpointSlices and pods with host ports as typed facts. PURE, and tolerant as `facts` says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from mini8s.agent.network.facts import cluster_addresses, is_ipv4, items
from mini8s.agent.proxy.layout import PROTOCOLS, Slot
from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import is_terminal


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a Service; `node` is 0 when it has no node port, `host` the only address of this host that
    the node port is answered on, empty for all of them."""

    name: str
    protocol: str
    number: int
    node: int = 0
    host: str = ""


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


def service(obj: Obj, slices: Iterable[Obj], node: str, silent: Set[str] = frozenset()) -> Service | None:
    """The Service as facts; None when it has no address of its own (headless, ExternalName). Endpoints on
    `silent` nodes count where there are no others."""
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
        endpoints=tuple(_endpoints(port, usable, node, silent) for port in ports),
        affinity=spec.get("sessionAffinity") == "ClientIP",
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=spec.get("externalTrafficPolicy") == "Local",
    )


def has_host_ports(pod: Obj) -> bool:
    return any(True for _ in _host_ports(pod))


def pod_service(pod: Obj) -> Service | None:
    """A pod's host ports, as node ports with one endpoint that keep the client's address, which is what the
    CNI's portmap does; None when the pod has none, has no address yet, or has ended."""
    address = (pod.get("status") or {}).get("podIP")
    found = dict(_host_ports(pod))
    if not found or is_terminal(pod) or not is_ipv4(address):
        return None
    return Service(
        key=meta.key(pod),
        addresses=(),
        external=(),
        ports=tuple(found),
        endpoints=tuple((Endpoint((str(address), target), local=True),) for target in found.values()),
        external_local=True,
    )


def _host_ports(pod: Obj) -> Iterator[tuple[Port, int]]:
    """Each with the container's port. A pod in the host's network has its ports there anyway."""
    spec = pod.get("spec") or {}
    sidecars = [one for one in items(spec.get("initContainers")) if one.get("restartPolicy") == "Always"]
    for container in [] if spec.get("hostNetwork") else items(spec.get("containers")) + sidecars:
        for obj in items(container.get("ports")):
            number, target = obj.get("hostPort"), obj.get("containerPort")
            protocol, host = str(obj.get("protocol") or "TCP").lower(), str(obj.get("hostIP") or "0.0.0.0")
            if protocol in PROTOCOLS and _is_port(number) and _is_port(target) and is_ipv4(host):
                host = "" if host == "0.0.0.0" else host
                front = int(number or 0)
                yield Port(f"{host}:{front}", protocol, front, front, host), int(target or 0)


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


def _endpoints(port: Port, slices: Iterable[Obj], node: str, silent: Set[str]) -> tuple[Endpoint, ...]:
    """In an order that does not depend on that of the slices; an address twice counts once, ready first."""
    found: dict[Slot, Endpoint] = {}
    away: set[Slot] = set()
    for piece in slices:
        number = _target(port, piece)
        if not number:
            continue
        for obj in items(piece.get("endpoints")):
            endpoint = _endpoint(obj, number, node)
            if endpoint and (endpoint.slot not in found or found[endpoint.slot].spare):
                found[endpoint.slot] = endpoint
                away |= {endpoint.slot} if obj.get("nodeName") in silent else set()
    near = found.keys() - away
    return tuple(found[slot] for slot in sorted(near or found))


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
