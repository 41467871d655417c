"""IP families: whose an address or a range is, and lists that have one of each (KEP-563). PURE.

A cluster has one family or two, and where it has two there is a first: that of the fields which hold one
address only (`podIP`, `clusterIP`, `podCIDR`). What is said of both stands in one text, with a comma between,
as upstream's flags have it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

IPV4, IPV6 = FAMILIES = ("IPv4", "IPv6")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def family(text: Any) -> str:
    """Of an address or a range in CIDR; empty for what is neither."""
    said = str(text)
    if "/" not in said:
        return family_of_address(said)
    try:
        return f"IPv{ipaddress.ip_interface(said).version}"
    except ValueError:
        return ""


def family_of_address(text: Any) -> str:
    """Empty for what is none. A proxy asks it of tens of thousands."""
    said = str(text)
    try:
        if ":" in said:
            return "" if "%" in said else f"IPv{ipaddress.IPv6Address(said).version}"
        ipaddress.IPv4Address(said)
    except ValueError:
        return ""
    return IPV4


def split(text: str) -> tuple[str, ...]:
    """The parts of a text with commas."""
    return tuple(part for part in (one.strip() for one in text.split(",")) if part)


def by_family(values: Iterable[Any]) -> dict[str, str]:
    """The first of each family, in the order in which the families come; what is of none is passed over."""
    found: dict[str, str] = {}
    for value in values:
        if name := family(value):
            found.setdefault(name, str(value))
    return found


def networks(text: str) -> dict[str, Network]:
    """The ranges of a text with commas, by family. Raises ValueError."""
    found = [ipaddress.ip_network(part) for part in split(text)]
    return {f"IPv{one.version}": one for one in found}


def pod_addresses(pod: Any) -> tuple[str, ...]:
    """A pod's addresses, `podIP` first."""
    said = pod.get("status") or {}
    listed = [one.get("ip") for one in said.get("podIPs") or () if isinstance(one, dict)]
    return tuple(dict.fromkeys(str(one) for one in [said.get("podIP"), *listed] if one))


def node_addresses(node: Any, kind: str = "InternalIP") -> dict[str, str]:
    """A node's addresses of a type, by family."""
    listed = (node.get("status") or {}).get("addresses") or ()
    return by_family(one.get("address") for one in listed if one.get("type") == kind)


def in_url(address: str) -> str:
    """An address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


def order(address: str) -> tuple[int, int]:
    """Sorts addresses as numbers, IPv4 before IPv6."""
    found = ipaddress.ip_address(address)
    return found.version, int(found)
