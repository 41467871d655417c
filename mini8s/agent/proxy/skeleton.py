"""The constant part of the table, as text for `nft`, with or without the elements. PURE.

Two races are closed here. A packet's two lookups can straddle a commit, so each is tried twice: a front that
is being replaced is found by the second lookup, an endpoint slot that has just gone is replaced by slot 0.
And a first packet that slips through all the same must not leave un-NATed, because its conntrack entry would
then swallow the retransmissions for minutes: the `leak` chains drop it, its retransmission finds the front.

The cluster's DNS address is inside the service CIDR but local to every host: `fib` keeps local addresses out
of reject and drop, also when a Service without endpoints bears it. A pod's host port on an address (`ha`)
asks `fib`, too: a pod may name any address, and must not get what this host sends to somebody else's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mini8s.agent.proxy.layout import AFFINITY, DROP, MAPS, MOST_ENDPOINTS, REJECT, TABLE, Elements

STEP = 64  # chains for groups of this many endpoints take 30 ms to make; larger groups are rare, and all
# chains that a class can name take 300 ms
AFFINITY_SECONDS = 10800  # Kubernetes' default of sessionAffinityConfig.clientIP.timeoutSeconds

_PORTS = "meta l4proto { tcp, udp, sctp }"
_DNAT = f"{_PORTS} dnat ip addr . port to meta mark & 0x7ffffc00"

_TABLE = """\
table ip {table}
delete table ip {table}
table ip {table} {{
  map fe  {{ type ipv4_addr . inet_proto . inet_service : mark; }}
  map ha  {{ type ipv4_addr . inet_proto . inet_service : mark; }}
  map np  {{ type inet_proto . inet_service : mark; }}
  map eps {{ typeof meta mark . numgen random mod 65536 : ip daddr . th dport; }}
  map aff {{ type mark . ipv4_addr : ipv4_addr . inet_service; flags dynamic,timeout; size 1000000; timeout {seconds}s; }}
  set hp  {{ type ipv4_addr . ipv4_addr; }}
  chain {version} {{ }}
  chain rej {{
    ip daddr {service_cidr} fib daddr type local accept
    meta l4proto tcp reject with tcp reset
    reject with icmp port-unreachable
  }}
{chains}  map cls {{ type mark : verdict; elements = {{ {reject} : goto rej, {drop} : drop, {classes} }} }}
  chain lb {{
    meta mark set ip daddr . meta l4proto . th dport map @fe meta mark & 0x3ff vmap @cls
    meta mark set ip daddr . meta l4proto . th dport map @fe meta mark & 0x3ff vmap @cls
    ip daddr {service_cidr} {ports} fib daddr type != local goto rej
    fib daddr type local ip daddr != 127.0.0.0/8 meta mark set ip daddr . meta l4proto . th dport map @ha meta mark & 0x3ff vmap @cls
    fib daddr type local ip daddr != 127.0.0.0/8 meta mark set meta l4proto . th dport map @np meta mark & 0x3ff vmap @cls
  }}
  chain pre {{ type nat hook prerouting priority dstnat; jump lb
  }}
  chain out {{ type nat hook output priority -100; jump lb
  }}
  chain leakf {{ type filter hook forward priority filter;
    ip daddr {service_cidr} ct state new drop
    ip saddr {cluster_cidr} ct state invalid drop
  }}
  chain leako {{ type filter hook output priority filter;
    ip daddr {service_cidr} fib daddr type != local ct state new drop
  }}
  chain post {{ type nat hook postrouting priority srcnat;
    meta mark & 0x200 != 0 ct status dnat update @aff {{ meta mark & 0x7ffffc00 . ip saddr timeout {seconds}s : ip daddr . th dport }}
    meta mark != 0 meta mark & 0x80000000 == 0 ct status dnat ct original ip daddr != {service_cidr} masquerade fully-random
    meta mark != 0 ct status dnat ct original ip daddr {service_cidr} ip saddr != {cluster_cidr} masquerade fully-random
    ct status dnat ip saddr . ip daddr @hp masquerade fully-random
  }}
}}
"""  # noqa: E501 - rules read best on one line


def table(service_cidr: str, cluster_cidr: str, largest: int = STEP) -> str:
    """The whole table, in the place of any that was there, with room for groups of `largest` endpoints."""
    return _render(service_cidr, cluster_cidr, version(service_cidr, cluster_cidr), largest)


def version(service_cidr: str, cluster_cidr: str) -> str:
    """The name of an empty chain by which the table says which text made it."""
    text = _render(service_cidr, cluster_cidr, "", STEP)
    return "skeleton_" + hashlib.sha256(text.encode()).hexdigest()[:8]


def room(largest: int) -> int:
    """The size to make a table for, when its largest group has so many endpoints."""
    return min(MOST_ENDPOINTS, max(1, -(-largest // STEP)) * STEP)


def additions(elements: Elements) -> Iterator[str]:
    """nft's lines that add elements."""
    for (name, key), data in elements.items():
        spec = MAPS[name]
        text = " . ".join(field.text(value) for field, value in zip(spec.key, key, strict=True))
        if data:
            text += " : " + " . ".join(
                field.text(value) for field, value in zip(spec.data, data, strict=True)
            )
        yield f"add element ip {TABLE} {name} {{ {text} }}\n"


def _render(service_cidr: str, cluster_cidr: str, version: str, largest: int) -> str:
    sizes = range(1, largest + 1)
    return _TABLE.format(
        table=TABLE,
        version=version,
        seconds=AFFINITY_SECONDS,
        ports=_PORTS,
        chains=_chains(sizes),
        classes=_classes(sizes),
        reject=REJECT,
        drop=DROP,
        service_cidr=service_cidr,
        cluster_cidr=cluster_cidr,
    )


def _chains(sizes: range) -> str:
    return "".join(
        f"  chain n{size} {{\n"
        f"    {_DNAT} . numgen random mod {size} map @eps\n"
        f"    {_DNAT} . numgen random mod 1 map @eps\n"
        "    drop\n  }\n"
        f"  chain a{size} {{\n    {_DNAT} . ip saddr map @aff\n    goto n{size}\n  }}\n"
        for size in sizes
    )


def _classes(sizes: range) -> str:
    return ", ".join(f"{size} : goto n{size}, {size | AFFINITY} : goto a{size}" for size in sizes)
