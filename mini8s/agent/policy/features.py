"""What of nf_tables network policies stand on."""

from __future__ import annotations

from collections.abc import Callable

from mini8s.agent.network import probe

_TABLE = "mini8s_policy_probe"
_CHAINED = "map m { typeof meta priority . ip saddr : meta priority"
_FEATURES: tuple[probe.Feature, ...] = (
    ("nf_tables itself", "CONFIG_NF_TABLES_IPV4", ""),
    ("the expression ct", "CONFIG_NFT_CT", "chain c { ct state new accept; }"),
    ("maps from addresses to packets' priorities", "CONFIG_NF_TABLES",
     "map m { type ipv4_addr : classid; }\nchain c { meta priority set ip saddr map @m; }"),
    ("maps with concatenated keys", "CONFIG_NF_TABLES",
     f"{_CHAINED}; }}\nchain c {{ meta priority set meta priority . ip saddr map @m; }}"),
    ("maps of concatenated ranges (Linux 5.6)", "CONFIG_NF_TABLES",
     f"{_CHAINED}; flags interval; }}"),
)  # fmt: skip


def missing(load: Callable[[str], None]) -> str:
    """A sentence about what this kernel lacks, empty when it has all that is needed."""
    return probe.missing(load, _TABLE, _FEATURES, "network policies")
