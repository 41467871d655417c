"""Which names Services and nodes bring, Services' as the Kubernetes DNS specification 1.1 has them. PURE.

Names are lower case without the final dot. A Service without an address of its own (headless) answers with
its ready endpoints, each of which also has a name: its pod's hostname, or its address with dashes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mini8s.agent.network.facts import items
from mini8s.objects import ip, meta
from mini8s.objects.kinds import Obj

SPECIFICATION = "1.1.0"  # what dns-version answers

Data = str | tuple[int, int, int, str]  # an address, name or text; of SRV priority, weight, port, target


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    type: str  # A, CNAME, PTR, SRV, TXT
    data: Data


def of_domain(domain: str, server: str) -> tuple[Record, ...]:
    """What the domain has without any Service: the schema's version, and who answers for it."""
    name = f"ns.dns.{domain}"
    answers = [Record(name, family(one), one) for one in ip.split(server) if family(one)]
    return (Record(f"dns-version.{domain}", "TXT", SPECIFICATION), Record(domain, "NS", name), *answers)


def of_node(obj: Obj) -> tuple[Record, ...]:
    """A node's name, as k3s lets pods resolve it."""
    said = items((obj.get("status") or {}).get("addresses"))
    addresses = [str(one.get("address")) for one in said if one.get("type") == "InternalIP"]
    return tuple(of_host(meta.name(obj).lower(), addresses))


def of_host(name: str, addresses: Iterable[str]) -> Iterator[Record]:
    """A name that isn't the cluster's, and the way back from its addresses."""
    for address in addresses:
        if kind := family(address):
            yield Record(name, kind, address)
            yield Record(reverse_name(address), "PTR", name)


def of_service(obj: Obj, slices: Iterable[Obj], domain: str) -> tuple[Record, ...]:
    """A Service's records; tolerant: what can't be understood is left out."""
    spec = obj.get("spec") or {}
    base = f"{meta.name(obj)}.{meta.namespace(obj)}.svc.{domain}".lower()
    if spec.get("type") == "ExternalName":
        target = str(spec.get("externalName") or "").rstrip(".").lower()
        return (Record(base, "CNAME", target),) if target else ()
    addresses = _own_addresses(spec)
    if addresses:
        return tuple(_of_addresses(base, addresses, items(spec.get("ports"))))
    return tuple(dict.fromkeys(_of_endpoints(base, slices)))


def family(address: Any) -> str:
    """The type of record that holds an address; empty for what is none."""
    try:
        return "A" if ipaddress.ip_address(address).version == 4 else "AAAA"
    except ValueError:
        return ""


def reverse_name(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


def _own_addresses(spec: Obj) -> list[str]:
    """None when the Service is headless."""
    return [str(one) for one in spec.get("clusterIPs") or [spec.get("clusterIP")] if family(one)]


def _of_addresses(base: str, addresses: Iterable[str], ports: list[Obj]) -> Iterator[Record]:
    for address in addresses:
        yield Record(base, family(address), address)
        yield Record(reverse_name(address), "PTR", base)
    for port in ports:
        if port.get("name") and isinstance(port.get("port"), int):
            yield Record(_service_name(port, base), "SRV", (0, 100, port["port"], base))


def _of_endpoints(base: str, slices: Iterable[Obj]) -> Iterator[Record]:
    found = [
        (str(endpoint["addresses"][0]), str(endpoint.get("hostname") or ""), items(piece.get("ports")))
        for piece in slices
        for endpoint in items(piece.get("endpoints"))
        if _serves(endpoint)
    ]
    weight = max(1, 100 // len(found)) if found else 0
    for address, hostname, ports in sorted(found, key=lambda one: one[:2]):
        name = f"{(hostname or _dashed(address)).lower()}.{base}"
        yield Record(base, family(address), address)
        yield Record(name, family(address), address)
        yield Record(reverse_name(address), "PTR", name)
        for port in ports:
            if port.get("name") and isinstance(port.get("port"), int):
                yield Record(_service_name(port, base), "SRV", (0, weight, port["port"], name))


def _serves(endpoint: Obj) -> bool:
    """Ready (not saying so means ready), with an address that a record can hold."""
    addresses = endpoint.get("addresses") or []
    ready = (endpoint.get("conditions") or {}).get("ready") is not False
    return bool(ready and addresses and family(addresses[0]))


def _dashed(address: str) -> str:
    """An endpoint's own name where its pod has none; one of IPv6 mustn't begin or end with a dash."""
    found = ipaddress.ip_address(address)
    return address.replace(".", "-") if found.version == 4 else found.exploded.replace(":", "-")


def _service_name(port: Obj, base: str) -> str:
    return f"_{port['name']}._{port.get('protocol') or 'TCP'}.{base}".lower()
