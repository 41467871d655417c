"""Nodes, Services and EndpointSlices as the server writes them, for tests of proxy, DNS and pod network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mini8s.objects import ip
from mini8s.objects.kinds import Obj


def node(name: str, address: str, pod_cidr: str) -> Obj:
    """Of two families with a comma between addresses and between ranges."""
    ranges = ip.split(pod_cidr)
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": ranges[0], "podCIDRs": list(ranges)} if ranges else {},
        "status": {"addresses": [{"type": "InternalIP", "address": one} for one in ip.split(address)]},
    }


def port(number: int, *, name: str = "", protocol: str = "TCP", node_port: int = 0) -> Obj:
    found: Obj = {"port": number, "protocol": protocol}
    if name:
        found["name"] = name
    if node_port:
        found["nodePort"] = node_port
    return found


def service(name: str, address: str, *ports: Obj, namespace: str = "default", **spec: Any) -> Obj:
    """`address` "None" makes a headless Service; it may be of two families, with a comma between."""
    listed = ip.split(address) or (address,)
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": listed[0], "clusterIPs": list(listed), "ports": list(ports), **spec},
    }


def endpoint(address: str, *, node: str = "", hostname: str = "", state: str = "ready") -> Obj:
    """`state`: ready, waiting, or ending (still serves, but goes)."""
    conditions = {
        "ready": state == "ready",
        "serving": state in ("ready", "ending"),
        "terminating": state == "ending",
    }
    found: Obj = {"addresses": [address], "conditions": conditions}
    if node:
        found["nodeName"] = node
    if hostname:
        found["hostname"] = hostname
    return found


def slice_of(
    owner: Obj, endpoints: Iterable[Obj], *ports: Obj, suffix: str = "x", family: str = "IPv4"
) -> Obj:
    metadata = owner["metadata"]
    return {
        "metadata": {
            "name": f"{metadata['name']}-{suffix}",
            "namespace": metadata["namespace"],
            "labels": {"kubernetes.io/service-name": metadata["name"]},
        },
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": list(ports),
    }


def pod_with_ports(name: str, address: str, *ports: Obj, **spec: Any) -> Obj:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "h1", "containers": [{"name": "main", "ports": list(ports)}], **spec},
        "status": {"phase": "Running", "podIP": address},
    }
