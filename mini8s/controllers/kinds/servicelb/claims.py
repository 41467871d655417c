"""Whose a port of the hosts is, when several Services want it. PURE.

A host's port can lead to one Service only. The oldest has it; the proxies judge the same way
(`agent/proxy/plan.py`). What the hosts need for themselves nobody gets: who took the API server's port would
cut every node off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mini8s.objects import meta
from mini8s.objects.kinds import Obj

OWN_CLASS = "mini8s.io/servicelb"
Wanted = tuple[str, int]  # protocol, port


@dataclass(frozen=True, slots=True)
class Taken:
    """A port of a host that a load balancer does not get."""

    address: str
    protocol: str
    port: int
    by: str

    def __str__(self) -> str:
        return f"port {self.port}/{self.protocol} of {self.address} is taken by {self.by}"


def is_ours(service: Obj) -> bool:
    """Whether its load balancer is ours to make: of no class, or of our own."""
    spec = service.get("spec") or {}
    wanted = spec.get("type") == "LoadBalancer" and not meta.deleting(service)
    return wanted and spec.get("loadBalancerClass") in (None, "", OWN_CLASS)


def wanted(service: Obj) -> Iterator[Wanted]:
    for port in service["spec"].get("ports") or ():
        yield port.get("protocol") or "TCP", port["port"]


def taken(
    service: Obj, hosts: Mapping[str, str], others: Iterable[Obj], reserved: Mapping[Wanted, str]
) -> list[Taken]:
    """What of these hosts' ports is somebody else's."""
    ports, found = set(wanted(service)), []
    addresses = sorted(hosts.values())
    for one in sorted(ports & reserved.keys()):
        found += [Taken(address, *one, reserved[one]) for address in addresses]
    for other in others:
        if meta.uid(other) == meta.uid(service):
            continue
        key = f"Service {meta.key(other)}"
        has = _held(other) if _age(other) < _age(service) else {}
        found += [
            Taken(address, *one, key)
            for address in addresses
            for one in sorted(ports & has.get(address, set()))
        ]
        nodes = {
            (port.get("protocol") or "TCP", port.get("nodePort")) for port in other["spec"].get("ports") or ()
        }
        found += [
            Taken(address, *one, f"{key} as its node port")
            for address in addresses
            for one in sorted(ports & nodes)
        ]
    return found


def _held(other: Obj) -> dict[str, set[Wanted]]:
    """Ports by address, of its load balancer and of its external addresses."""
    listed = ((other.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    addresses = [one.get("ip") for one in listed] if other["spec"].get("type") == "LoadBalancer" else []
    return {str(one): set(wanted(other)) for one in [*addresses, *(other["spec"].get("externalIPs") or ())]}


def _age(service: Obj) -> tuple[str, str]:
    return str(service["metadata"].get("creationTimestamp") or ""), meta.key(service)
