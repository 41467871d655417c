"""The constant part of the policies' table, as text. PURE.

A connection is judged once, by its first packet, where it is routed and therefore after Services have been
resolved: at the pod that sends it and at the pod that gets it, each on its own host. What belongs to a
connection passes, so replies need no rule, and a connection that exists when a policy comes goes on, as with
most network plug-ins (upstream leaves that open). What a host itself says to its pods is never judged, nor
what pods say to their own host: probes and host ports work in spite of every policy. Only the cluster's DNS
address, which each host has, counts as pods of kube-dns.

Lookups are chained through `meta priority`: the proxy still needs the packet's mark further on, and routing
has already set the priority, which nothing but a queueing discipline reads. It is put back to none.
"""

from __future__ import annotations

import hashlib

from mini8s.agent.network.family import IPV4, Family
from mini8s.agent.policy.layout import TABLE

_TABLE = """\
table {ip} {table}
delete table {ip} {table}
table {ip} {table} {{
  map in {{ type {type} : classid; }}
  map out {{ type {type} : classid; }}
  set self {{ type {type} . {type}; }}
  map peers {{ typeof meta priority . {ip} saddr : meta priority; }}
  map blocks {{ typeof meta priority . {ip} saddr : meta priority; flags interval; }}
  set ports {{ typeof meta priority . meta l4proto . th dport; flags interval; }}
  chain {version} {{ }}
  chain verdict {{
    meta priority . meta l4proto . th dport @ports meta priority set none return
    meta priority 0:1 meta priority set none return
    drop
  }}
  chain sends {{
    meta priority set meta priority . {ip} daddr map @peers
    meta priority set meta priority . {ip} daddr map @blocks
    goto verdict
  }}
  chain gets {{
    meta priority set meta priority . {ip} saddr map @peers
    meta priority set meta priority . {ip} saddr map @blocks
    goto verdict
  }}
  chain forward {{ type filter hook forward priority filter;
    ct state established,related accept
    {ip} saddr . {ip} daddr @self accept
    meta priority set {ip} saddr map @out jump sends
    meta priority set {ip} daddr map @in jump gets
  }}
  chain input {{ type filter hook input priority filter;
    {ip} daddr != {dns} accept
    ct state established,related accept
    meta priority set {ip} saddr map @out jump sends
  }}
}}
"""


def table(dns: str, family: Family = IPV4) -> str:
    """The whole table, in the place of any that was there."""
    return _render(dns, version(dns, family), family)


def version(dns: str, family: Family = IPV4) -> str:
    """The name of an empty chain by which the table says which text made it."""
    return "skeleton_" + hashlib.sha256(_render(dns, "", family).encode()).hexdigest()[:8]


def _render(dns: str, version: str, family: Family) -> str:
    return _TABLE.format(
        table=TABLE, ip=family.nft, type=family.address_type, dns=dns or family.nowhere, version=version
    )
