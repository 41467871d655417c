"""The cluster's ranges of addresses, of one family or of two: what must hold between the flags that say them.

The first range of each is of the family that comes first everywhere. The order is the same in all flags, so
that nobody has to ask whose order counts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from mini8s.config import NodeSettings, ServerSettings
from mini8s.objects import ip
from mini8s.objects.ip import Network

DNS_PLACE = 10  # of the resolver's address within --service-cidr: the tenth, as k3s has it
_ALL = {ip.IPV4: "0.0.0.0", ip.IPV6: "::"}  # the latter takes IPv4, too
_BITS = {"IPv4": 32, "IPv6": 128}
_LEAST_SERVICES = 8  # addresses in --service-cidr, as kube-apiserver wants it
_MOST_RANGES_BITS = 16  # 65,536 ranges for nodes: what upstream's range allocator counts up to


S = TypeVar("S", bound=NodeSettings)


class BadNetworks(Exception):
    """Ranges that can't be a cluster's; the message says of which flag."""


def completed(settings: S) -> S:
    """A server's with the resolver's address when none was given, and an API that is where the cluster's
    first addresses are. Raises BadNetworks."""
    if not isinstance(settings, ServerSettings):
        return settings
    services = _ranges(settings.service_cidr, "--service-cidr")
    more: dict[str, Any] = {}
    if next(iter(services)) == ip.IPV6 and settings.bind_address == _ALL[ip.IPV4]:
        more["bind_address"] = _ALL[ip.IPV6]
    if not settings.cluster_dns:
        found = [one[DNS_PLACE] for one in services.values() if one.num_addresses > DNS_PLACE + 1]
        if len(found) < len(services):
            why = f"--service-cidr {settings.service_cidr} has no {DNS_PLACE}th address: give --cluster-dns"
            raise BadNetworks(why)
        more["cluster_dns"] = ",".join(map(str, found))
    return replace(settings, **more)


def check(settings: ServerSettings) -> None:
    """Raises BadNetworks."""
    services = _ranges(settings.service_cidr, "--service-cidr")
    pods = _ranges(settings.cluster_cidr, "--cluster-cidr")
    if list(services) != list(pods):
        raise BadNetworks(
            f"--cluster-cidr is of {' and '.join(pods)}, --service-cidr of {' and '.join(services)}: both "
            "must be of the same families, in the same order"
        )
    for network in services.values():
        if network.num_addresses < _LEAST_SERVICES:
            raise BadNetworks(f"--service-cidr {network} has fewer than {_LEAST_SERVICES} addresses")
    if any(services[name].overlaps(pods[name]) for name in pods):
        raise BadNetworks("--service-cidr and --cluster-cidr overlap")
    for name, network in pods.items():
        _check_mask(network, node_masks(settings)[name])
    _check_dns(settings.cluster_dns, services)


def node_masks(settings: ServerSettings) -> dict[str, int]:
    """How long the prefix of a node's range is, by family."""
    return {"IPv4": settings.node_cidr_mask_size_ipv4, "IPv6": settings.node_cidr_mask_size_ipv6}


def first_addresses(cidrs: str) -> tuple[str, ...]:
    """The first address of each range: in those of Services the API's own."""
    return tuple(str(one[1]) for one in ip.networks(cidrs).values())


def further_ranges(settings: ServerSettings, has: Iterable[str], taken: Collection[str]) -> list[str]:
    """For a node that `has` ranges, one of each family that it has none of; none where all are `taken`."""
    had = ip.by_family(has)
    found: list[str] = []
    for name, network in ip.networks(settings.cluster_cidr).items():
        size = 1 << (_BITS[name] - node_masks(settings)[name])
        count = network.num_addresses // size if name not in had else 0
        parts = (f"{network[n * size]}/{node_masks(settings)[name]}" for n in range(count))
        found += islice((one for one in parts if one not in taken), 1)
    return found


def _ranges(text: str, flag: str) -> dict[str, Network]:
    parts = ip.split(text)
    try:
        found = ip.networks(text)
    except ValueError as error:
        raise BadNetworks(f"{flag}: {error}") from error
    if not parts or len(parts) != len(found):
        raise BadNetworks(f"{flag} {text} is not one range, or one of IPv4 and one of IPv6")
    return found


def _check_mask(network: Network, mask: int) -> None:
    flag = f"--node-cidr-mask-size-ipv{network.version}"
    if not 0 < mask <= _BITS[f"IPv{network.version}"] - 2:
        raise BadNetworks(f"{flag} {mask} leaves a node no addresses for pods")
    if network.prefixlen > mask:
        raise BadNetworks(f"--cluster-cidr {network} is smaller than the /{mask} that a node gets")
    if network.version == 6 and mask - network.prefixlen > _MOST_RANGES_BITS:
        raise BadNetworks(
            f"--cluster-cidr {network} holds more than 65536 ranges of /{mask}: {flag} must be at most "
            f"{network.prefixlen + _MOST_RANGES_BITS}"
        )


def _check_dns(text: str, services: dict[str, Network]) -> None:
    seen: set[int] = set()
    for part in ip.split(text) or (text,):
        try:
            address = ipaddress.ip_address(part)
        except ValueError:
            raise BadNetworks(f"--cluster-dns {part} is not an address in {_joined(services)}") from None
        if not any(one.version == address.version and address in one for one in services.values()):
            raise BadNetworks(f"--cluster-dns {part} is not an address in {_joined(services)}")
        if address.version in seen:
            raise BadNetworks(f"--cluster-dns {text} has two addresses of IPv{address.version}")
        seen.add(address.version)
    first = next(iter(services))
    if ip.family(ip.split(text)[0]) != first:
        raise BadNetworks(f"--cluster-dns {text} does not have {first} first, as --service-cidr has it")


def _joined(networks: dict[str, Network]) -> str:
    return " or ".join(map(str, networks.values()))
