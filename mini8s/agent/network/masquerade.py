"""The table that gives packets from this host's pods the host's own address when they leave the cluster.
PURE.

Inside the cluster pods are seen by their own addresses, so a packet to another pod, a Service or a node
keeps its source. The table is the network's own: the proxy's is replaced as a whole at times. The tunnel's
outer packets are not tracked: each inner connection has a source port of its own there, so they would fill
the connection table with thousands of entries that nobody needs.
"""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.agent.network.family import FAMILIES
from mini8s.agent.network.plan import TUNNEL_PORT
from mini8s.objects import ip

TABLE = "mini8s_net"

_TEXT = """\
table {ip} {table}
delete table {ip} {table}
table {ip} {table} {{
  set inside {{ type {type}; flags interval; auto-merge; elements = {{ {inside} }} }}
  chain post {{ type nat hook postrouting priority srcnat;
    {ip} saddr {pod_cidr} {ip} daddr != @inside {ip} daddr != {multicast} masquerade fully-random
  }}
  chain tunnelin {{ type filter hook prerouting priority raw; udp dport {tunnel_port} notrack
  }}
  chain tunnelout {{ type filter hook output priority raw; udp dport {tunnel_port} notrack
  }}
}}
"""


def table(pod_cidr: str, inside: Iterable[str]) -> str:
    """The whole table, in the place of any that was there. `inside`: ranges and addresses of the cluster."""
    kind = FAMILIES[ip.family(pod_cidr)]
    return _TEXT.format(
        table=TABLE,
        ip=kind.nft,
        type=kind.address_type,
        multicast=kind.multicast,
        pod_cidr=pod_cidr,
        tunnel_port=TUNNEL_PORT,
        inside=", ".join(inside),
    )
