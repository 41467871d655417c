"""What of nf_tables the proxy stands on, and which of it a kernel lacks: asked only after the kernel refused
the table, so that the refusal becomes one sentence that names what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mini8s.agent.network import probe
from mini8s.agent.network.family import IPV4, IPV6, Family

_TABLE = "mini8s_probe"
_SCTP = Path("/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_established")
_WHAT = {IPV4.name: "Services", IPV6.name: "Services of IPv6"}
_NAT = "type nat hook prerouting priority dstnat;"


def _features(family: Family) -> tuple[probe.Feature, ...]:
    ip, address, named = family.nft, family.address_type, family.name.upper()
    update = f"{ip} saddr timeout 20s"
    dnat = f"meta l4proto tcp dnat {ip} addr . port to meta mark map @m"
    hashed: tuple[probe.Feature, ...] = (
        ("the expression jhash", "CONFIG_NFT_HASH",
         "chain c { meta mark set jhash ip6 saddr mod 4294967295 seed 1; }"),
    )  # fmt: skip
    return (
        ("nf_tables itself", f"CONFIG_NF_TABLES_{named}", ""),
        ("NAT chains", "CONFIG_NFT_NAT", f"chain c {{ {_NAT} }}"),
        ("the expression numgen", "CONFIG_NFT_NUMGEN", "chain c { numgen random mod 2 == 1 accept; }"),
        ("the expression fib", f"CONFIG_NFT_FIB_{named}", "chain c { fib daddr type local accept; }"),
        ("the expression ct", "CONFIG_NFT_CT", "chain c { ct state new accept; }"),
        ("the expression masquerade", "CONFIG_NFT_MASQ",
         "chain c { type nat hook postrouting priority srcnat; masquerade; }"),
        ("the expression reject", f"CONFIG_NFT_REJECT_{named}",
         f"chain c {{ reject with {family.icmp} port-unreachable; }}"),
        ("maps with concatenated keys", "CONFIG_NF_TABLES",
         f"map m {{ type {address} . inet_proto . inet_service : mark; }}"),
        ("sets of concatenated ranges (Linux 5.6)", "CONFIG_NF_TABLES",
         f"set s {{ type inet_service . {address}; flags interval; }}"),
        ("dnat to an address and port of a map", "CONFIG_NFT_NAT",
         f"map m {{ type mark : {address} . inet_service; }}\nchain c {{ {_NAT} {dnat}; }}"),
        ("sets that rules add to, with timeouts", "CONFIG_NF_TABLES",
         f"set s {{ type {address}; flags dynamic,timeout; }}\nchain c {{ update @s {{ {update} }}; }}"),
        *(hashed if family is IPV6 else ()),
    )  # fmt: skip


def missing(load: Callable[[str], None], family: Family = IPV4) -> str:
    """A sentence about what this kernel lacks, empty when it has all that is needed."""
    return probe.missing(load, _TABLE, _features(family), _WHAT[family.name], family.nft)


def without_sctp(known: Path = _SCTP) -> str:
    """A sentence when the connection table does not know this protocol's ports: it is an option of its own,
    and nf_tables takes the rules all the same. Once it knows any, it has settings for each that it knows."""
    if known.exists() or not known.parent.exists():
        return ""
    return (
        "this kernel lacks connection tracking of SCTP (CONFIG_NF_CT_PROTO_SCTP), without which no Service "
        "can be reached by it here"
    )
