"""Whose a port of the hosts is, when several want it. PURE.

A host's port can lead to one Service only. The oldest has it; the proxies judge the same way
(`agent/proxy/plan.py`). What the hosts need for themselves nobody gets: who took the API server's port would
cut every node off. Nor what pods have as host ports: a pod can be on its own host only, a load balancer on
others too. Ingresses are held to their age, as Services are; there the agent steps back
(`agent/ingress/ports.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mini8s.objects import host_ports, ingresses, meta
from mini8s.objects.host_ports import Wanted
from mini8s.objects.kinds import Obj
from mini8s.objects.labels import from_labels

OWN_CLASS = "mini8s.io/servicelb"


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


def taken(
    service: Obj, hosts: Mapping[str, str], others: Iterable[Obj], used: Mapping[str, Mapping[Wanted, str]]
) -> list[Taken]:
    """What of these hosts' ports is somebody else's. `used`: by the host's name, what is not free there."""
    ports, found = set(host_ports.wanted(service)), []
    for name, address in sorted(hosts.items(), key=lambda one: one[1]):
        has = used.get(name, {})
        found += [Taken(address, *one, has[one]) for one in sorted(ports & has.keys())]
    addresses = sorted(hosts.values())
    for other in others:
        if meta.uid(other) == meta.uid(service):
            continue
        key = f"Service {meta.key(other)}"
        held = host_ports.held(other) if host_ports.age(other) < host_ports.age(service) else {}
        found += [
            Taken(address, *one, key)
            for address in addresses
            for one in sorted(ports & held.get(address, set()))
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


def used(node: Obj, address: str, pods: Iterable[Obj], ingress: Obj | None) -> dict[Wanted, str]:
    """What pods of a host have there, and what Ingresses have where they are served; `ingress`: the oldest,
    if it is older than the Service that asks."""
    found: dict[Wanted, str] = {}
    if ingress:
        for number in ingresses.served_ports(node):
            found["TCP", number] = f"Ingress {meta.key(ingress)}"
    for pod in pods:
        found |= dict.fromkeys(host_ports.of_pod(pod, address), f"Pod {meta.key(pod)}")
    return found


def selects(service: Obj, pod: Obj) -> bool:
    """Whether it is one of the Service's own: a proxy in the host's network, say, that the Service is for.
    What comes to its host's port goes to it, and to others like it."""
    selector = service["spec"].get("selector")
    own = bool(selector) and meta.namespace(service) == meta.namespace(pod)
    return own and from_labels(selector).matches(meta.labels(pod))


def by_node(pod: Obj) -> Iterator[str]:
    """The index function of pods that have ports of their host."""
    node = (pod.get("spec") or {}).get("nodeName")
    if node and any(True for _ in host_ports.every(pod)):
        yield str(node)
