"""What of nf_tables network policies stand on."""

from __future__ import annotations

from collections.abc import Callable

from mini8s.agent.network import probe
from mini8s.agent.network.family import IPV4, IPV6, Family

_TABLE = "mini8s_policy_probe"
_WHAT = {IPV4.name: "network policies", IPV6.name: "network policies for IPv6"}


def _features(family: Family) -> tuple[probe.Feature, ...]:
    ip, address = family.nft, family.address_type
    chained = f"map m {{ typeof meta priority . {ip} saddr : meta priority"
    return (
        ("nf_tables itself", f"CONFIG_NF_TABLES_{family.name.upper()}", ""),
        ("the expression ct", "CONFIG_NFT_CT", "chain c { ct state new accept; }"),
        ("maps from addresses to packets' priorities", "CONFIG_NF_TABLES",
         f"map m {{ type {address} : classid; }}\nchain c {{ meta priority set {ip} saddr map @m; }}"),
        ("maps with concatenated keys", "CONFIG_NF_TABLES",
         f"{chained}; }}\nchain c {{ meta priority set meta priority . {ip} saddr map @m; }}"),
        ("maps of concatenated ranges (Linux 5.6)", "CONFIG_NF_TABLES", f"{chained}; flags interval; }}"),
    )  # fmt: skip


def missing(load: Callable[[str], None], family: Family = IPV4) -> str:
    """A sentence about what this kernel lacks, empty when it has all that is needed."""
    return probe.missing(load, _TABLE, _features(family), _WHAT[family.name], family.nft)
