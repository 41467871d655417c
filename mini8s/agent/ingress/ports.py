"""Whether Ingresses have their ports on this host, or somebody else has. PURE.

A Service's packets and those to a pod's host port are led away before they would reach the proxy. A load
balancer gives way to older Ingresses (`controllers/kinds/servicelb/claims.py`), and younger ones to it; who
names an address of the host as external, or a port of the host, has it whenever he came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mini8s.agent.network.facts import items
from mini8s.objects import host_ports, meta
from mini8s.objects.kinds import Obj


def taken(
    found: Sequence[Obj], ports: Iterable[int], node: Obj, services: Iterable[Obj], pods: Iterable[Obj]
) -> list[str]:
    """What to say of each port that somebody else has; `found`: Ingresses, the oldest first; `pods`: those of
    the host."""
    addresses = [str(one.get("address")) for one in items((node.get("status") or {}).get("addresses"))]
    claims = {("TCP", port): port for port in ports}
    has: dict[int, str] = {}
    for service in services:
        older = host_ports.age(service) < host_ports.age(found[0])
        held = (*host_ports.external(service), *(host_ports.balanced(service) if older else ()))
        if set(held) & set(addresses):
            for one in claims.keys() & set(host_ports.wanted(service)):
                has[claims[one]] = f"Service {meta.key(service)}"
    for pod in pods:
        for one in claims.keys() & set(_at(pod, addresses)):
            has[claims[one]] = f"Pod {meta.key(pod)}"
    return [f"port {port}/TCP is taken by {by}" for port, by in sorted(has.items())]


def _at(pod: Obj, addresses: Iterable[str]) -> Iterator[host_ports.Wanted]:
    for address in addresses:
        yield from host_ports.of_pod(pod, address)
