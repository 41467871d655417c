"""Rules of Endpoints and EndpointSlices."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid, named, required, too_many
from mini8s.registry.rules import values

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("IPv4", "IPv6", "FQDN")
_MOST_ENDPOINTS, _MOST_ADDRESSES, _MOST_PORTS = 1000, 100, 20_000


def endpoints(found: Obj) -> Causes:
    for index, subset in enumerate(found.get("subsets") or ()):
        path = f"subsets[{index}]"
        addresses = [
            (part, place, address)
            for part in ("addresses", "notReadyAddresses")
            for place, address in enumerate(subset.get(part) or ())
        ]
        if not addresses:
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for part, place, address in addresses:
            yield from _address(address.get("ip") or "", f"{path}.{part}[{place}].ip")
        yield from _ports(subset.get("ports") or (), f"{path}.ports", must_have_number=True)


def endpoint_slice(found: Obj) -> Causes:
    family = found.get("addressType")
    yield from values.one_of({"addressType": family}, "addressType", "", _TYPES, must=True)
    items, ports = found.get("endpoints") or [], found.get("ports") or []
    if len(items) > _MOST_ENDPOINTS:
        yield too_many("endpoints", len(items), _MOST_ENDPOINTS)
    if len(ports) > _MOST_PORTS:
        yield too_many("ports", len(ports), _MOST_PORTS)
    for index, item in enumerate(items):
        yield from _endpoint(item, family or "", f"endpoints[{index}]")
    yield from _ports(ports, "ports", must_have_number=False)


def same_address_type(new: Obj, old: Obj) -> Causes:
    if new.get("addressType") != old.get("addressType"):
        yield invalid("addressType", new.get("addressType"), "field is immutable")


def _endpoint(item: Obj, family: str, field: str) -> Causes:
    addresses = item.get("addresses") or []
    if not addresses:
        yield required(f"{field}.addresses", "must contain at least 1 address")
    if len(addresses) > _MOST_ADDRESSES:
        yield too_many(f"{field}.addresses", len(addresses), _MOST_ADDRESSES)
    for index, address in enumerate(addresses):
        path = f"{field}.addresses[{index}]"
        if family == "FQDN":
            yield from named(path, address, names.dns_subdomain(address))
        else:
            if family in _TYPES and not _is_of(address, family):
                yield invalid(path, address, f"must be a valid {family} address")
            yield from _address(address, path)
    if host := item.get("hostname"):
        yield from named(f"{field}.hostname", host, names.dns_label(host))
    if node := item.get("nodeName"):
        yield from named(f"{field}.nodeName", node, names.dns_subdomain(node))


def _is_of(text: str, family: str) -> bool:
    try:
        return f"IPv{ipaddress.ip_address(text).version}" == family
    except ValueError:
        return False


def _address(text: str, field: str) -> Causes:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        yield from values.ip_address(text, field)
        return
    if address.is_unspecified:
        yield invalid(field, text, f"may not be unspecified ({text})")
    if address.is_loopback:
        yield invalid(field, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        yield invalid(field, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast and text.startswith(("224.0.0.", "ff02:")):
        yield invalid(field, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def _ports(ports: Iterable[Obj], field: str, *, must_have_number: bool) -> Causes:
    """In a slice a port without a number stands for all ports."""
    listed, seen = list(ports), set()
    for index, port in enumerate(listed):
        path, name = f"{field}[{index}]", port.get("name") or ""
        if name:
            yield from named(f"{path}.name", name, names.dns_label(name))
        elif must_have_number and len(listed) > 1:
            yield required(f"{path}.name")
        if name in seen and not must_have_number:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        if port.get("port") is not None or must_have_number:
            yield from values.port_number(port.get("port") or 0, f"{path}.port")
        yield from values.one_of(port, "protocol", path, _PROTOCOLS, must=True)
