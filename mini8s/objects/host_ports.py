"""Whose a port of an address is, when several want it: what controllers and agents must see alike. PURE.

Of two Services the older one has it, on all hosts, without anybody being asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj

Wanted = tuple[str, int]  # protocol, port
OUTWARD, EVERY = "outward", "every"  # an index, and its only value


def wanted(service: Obj) -> Iterator[Wanted]:
    for port in (service.get("spec") or {}).get("ports") or ():
        yield port.get("protocol") or "TCP", port["port"]


def balanced(service: Obj) -> list[str]:
    """The addresses that its load balancer has."""
    if (service.get("spec") or {}).get("type") != "LoadBalancer":
        return []
    listed = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [str(one.get("ip")) for one in listed]


def external(service: Obj) -> list[str]:
    return [str(one) for one in (service.get("spec") or {}).get("externalIPs") or ()]


def held(service: Obj) -> dict[str, set[Wanted]]:
    """Ports by address, of its load balancer and of its external addresses."""
    return {address: set(wanted(service)) for address in (*balanced(service), *external(service))}


def outward(service: Obj) -> list[str]:
    """The index function for OUTWARD: the Services that are reached at such addresses."""
    return [EVERY] if balanced(service) or external(service) else []


def every(pod: Obj) -> set[tuple[str, str, int]]:
    """Those of its host that lead to a pod, with the address they are asked at ("" for all); none once it has
    ended."""
    return set() if pods.is_terminal(pod) else set(pods.host_ports(pod.get("spec") or {}))


def of_pod(pod: Obj, address: str) -> set[Wanted]:
    """Those that lead to it when asked at that address; `::` is all of IPv6."""
    asked = ("", "::", address) if ":" in address else ("", address)
    return {(protocol, number) for where, protocol, number in every(pod) if where in asked}


def age(obj: Obj) -> tuple[str, str]:
    """Sorts the oldest first; the name decides between those of one second."""
    return str((obj.get("metadata") or {}).get("creationTimestamp") or ""), meta.key(obj)
