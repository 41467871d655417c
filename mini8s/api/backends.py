"""Whom a proxied request is for: the port of a pod, one of a service's ready pods, or a node
(`ResourceLocation` of upstream's pod, service and node storage)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from mini8s.api.target import Target
from mini8s.objects import ip
from mini8s.objects.errors import BadRequest, NotFound, ServiceUnavailable
from mini8s.objects.kinds import ENDPOINTS, NODES, PODS, SERVICES, Kind, Obj
from mini8s.registry.base import Registry
from mini8s.wire.codec import decode_json

KUBELET_PORT = "10250"
_SCHEMES = ("", "http", "https")
_DEFAULT_PORTS = {"": "80", "http": "80", "https": "443"}

T = TypeVar("T")
Choose = Callable[[Sequence[T]], T]


@dataclass(frozen=True, slots=True)
class Backend:
    """`road` is what its node's agent is asked for to be connected, "" when the agent itself is meant;
    `host` is who it calls itself."""

    node: str
    road: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class _Id:
    """`NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`."""

    scheme: str
    name: str
    port: str


class Backends:
    """`choose` picks one of several."""

    def __init__(self, registry: Registry, choose: Choose[Obj]) -> None:
        self._registry = registry
        self._choose = choose

    def find(self, target: Target) -> Backend:
        """Raises BadRequest, NotFound, ServiceUnavailable."""
        whom = _parse(target.name, target.kind)
        if target.kind is NODES:
            return self._node(whom)
        if target.kind is SERVICES:
            return self._service(target.namespace, target.name, whom)
        pod = self._get(PODS, target.namespace, whom.name)
        return _of_pod(pod, whom.scheme, whom.port or _first_port(pod) or _DEFAULT_PORTS[whom.scheme])

    def _node(self, whom: _Id) -> Backend:
        node = self._get(NODES, "", whom.name)
        daemon = ((node.get("status") or {}).get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        if whom.port in {"", KUBELET_PORT, str(daemon.get("Port") or "")}:
            return Backend(whom.name, host=whom.name)
        return Backend(whom.name, _road("node", whom.port, scheme=whom.scheme), f"{whom.name}:{whom.port}")

    def _service(self, namespace: str, asked: str, whom: _Id) -> Backend:
        port = self._port_name(namespace, whom)
        subsets = self._get(ENDPOINTS, namespace, whom.name).get("subsets") or []
        if not subsets:
            raise ServiceUnavailable(f'no endpoints available for service "{whom.name}"')
        found = [
            (address, str(item["port"]))
            for subset in subsets
            for item in subset.get("ports") or ()
            if (item.get("name") or "") == port
            for address in subset.get("addresses") or ()
        ]
        while found:
            address = self._choose([address for address, _ in found])
            number = next(number for other, number in found if other is address)
            pod = self._pod_at(namespace, address)
            if pod is not None:
                return _of_pod(pod, whom.scheme, number)
            found = [pair for pair in found if pair[0] is not address]
        raise ServiceUnavailable(f'no endpoints available for service "{asked}"')

    def _port_name(self, namespace: str, whom: _Id) -> str:
        """By which endpoints know the port. The only one needs no name, though upstream wants one."""
        if whom.port and not _is_number(whom.port):
            return whom.port
        service = self._get(SERVICES, namespace, whom.name)
        ports: list[Obj] = (service.get("spec") or {}).get("ports") or []
        if not whom.port:
            return (ports[0].get("name") or "") if len(ports) == 1 else ""
        for port in ports:
            if port.get("port") == int(whom.port):
                return port.get("name") or ""
        raise ServiceUnavailable(f'no service port {whom.port} found for service "{whom.name}"')

    def _pod_at(self, namespace: str, address: Obj) -> Obj | None:
        """The pod that an endpoint speaks of: nobody is reached but pods of the same namespace, whatever
        somebody may have written into Endpoints."""
        reference = address.get("targetRef") or {}
        if reference.get("kind") != PODS.kind or reference.get("namespace", namespace) != namespace:
            return None
        try:
            pod = self._get(PODS, namespace, reference.get("name") or "")
        except NotFound:
            return None
        return pod if address.get("ip") in _addresses(pod) else None

    def _get(self, kind: Kind, namespace: str, name: str) -> Obj:
        found: Obj = decode_json(self._registry.get(kind, namespace, name))
        return found


def _parse(text: str, kind: Kind) -> _Id:
    parts = text.split(":")
    if len(parts) < 3:
        parts = ["", *parts, ""][:3]
    if len(parts) > 3 or parts[0] not in _SCHEMES or not parts[1]:
        raise BadRequest(f'invalid {kind.singular} request "{text}"')
    return _Id(*parts)


def _of_pod(pod: Obj, scheme: str, port: str) -> Backend:
    metadata, address = pod["metadata"], (pod.get("status") or {}).get("podIP") or ""
    node = pod["spec"].get("nodeName") or ""
    if not node or not _is_global(address):
        raise BadRequest("address not allowed")
    if not _is_number(port):
        raise BadRequest(f'invalid port "{port}"')
    road = _road("pods", metadata["namespace"], metadata["name"], port, scheme=scheme)
    return Backend(node, road, f"{ip.in_url(address)}:{port}")


def _is_number(text: str) -> bool:
    """Whether it can be a port's; Python knows more digits than ours."""
    return text.isascii() and text.isdigit() and len(text) <= 5


def _road(*parts: str, scheme: str) -> str:
    return f"/connect/{'/'.join(quote(part, safe='') for part in parts)}?scheme={scheme}"


def _first_port(pod: Obj) -> str:
    containers = pod["spec"].get("containers") or ()
    ports = (item["ports"] for item in containers if item.get("ports"))
    return next((str(found[0].get("containerPort")) for found in ports), "")


def _addresses(pod: Obj) -> set[str]:
    status = pod.get("status") or {}
    return {str(item.get("ip")) for item in status.get("podIPs") or ()} | {str(status.get("podIP"))}


def _is_global(address: str) -> bool:
    """Whether it can be a pod's (Go's `IsGlobalUnicast`)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_multicast or found.is_link_local or found.is_unspecified)
