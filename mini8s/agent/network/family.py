"""How the two families of addresses are said to nftables and to netlink. PURE.

Whoever programs the kernel is written once, and told the family that it is for. The texts that come of it for
IPv4 are what they were before there was another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.objects import ip


@dataclass(frozen=True, slots=True)
class Family:
    """`nft` is the family of tables, and the word for its header in expressions. `nowhere` is an address that
    no packet ever has."""

    name: str
    nft: str
    number: int  # AF_INET, AF_INET6
    bits: int  # of an address
    address_type: str
    icmp: str
    loopback: str
    multicast: str
    nowhere: str
    any: str


IPV4 = Family(
    ip.IPV4, "ip", 2, 32, "ipv4_addr", "icmp", "127.0.0.0/8", "224.0.0.0/4", "127.255.255.255", "0.0.0.0"
)
IPV6 = Family(ip.IPV6, "ip6", 10, 128, "ipv6_addr", "icmpv6", "::1", "ff00::/8", "100::", "::")
FAMILIES: Mapping[str, Family] = {one.name: one for one in (IPV4, IPV6)}
