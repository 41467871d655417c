"""The constant part of the table, as text for `nft`, with or without the elements. PURE.

Two races are closed here. A packet's two lookups can straddle a commit, so each is tried twice: a front that
is being replaced is found by the second lookup, an endpoint slot that has just gone is replaced by slot 0.
And a first packet that slips through all the same must not leave un-NATed, because its conntrack entry would
then swallow the retransmissions for minutes: the `leak` chains drop it, its retransmission finds the front.

Pods and the host itself are inside the cluster: what they send to an address that is meant for clients
outside ignores the external policy and stays (`inside`), as it does for a ClusterIP.

What this host itself sends keeps its source port where that is free. A random one meets, sooner or later, a
socket of the endpoint that is still in TIME_WAIT after another client port's connection, whose time stamps
(RFC 7323) are not comparable: the first packet is refused, the next comes a second later. At 2,000 new
connections a second that were 5 % of them; with the port kept the socket knows its client again. Clients
outside are many and share ports: theirs are random, as kube-proxy has it.

The cluster's DNS address is inside the service CIDR but local to every host: `fib` keeps local addresses out
of reject and drop, also when a Service without endpoints bears it. A pod's host port on an address (`ha`)
asks `fib`, too: a pod may name any address, and must not get what this host sends to somebody else's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from mini8s.agent.network.family import IPV4, Family
from mini8s.agent.proxy.layout import (
    AFFINITY,
    AFFINITY_SECONDS,
    CLASS_MASK,
    DROP,
    GROUP_MASK,
    KEEP_CLIENT,
    MOST_ENDPOINTS,
    REJECT,
    STEP,
    TABLE,
    Needs,
)

_PORTS = "meta l4proto { tcp, udp, sctp }"
_LEARNED = f"flags dynamic,timeout; size 1000000; timeout {AFFINITY_SECONDS}s"
_GO = f"meta mark & {CLASS_MASK:#x} vmap @cls"

_TABLE = """\
table {ip} {table}
delete table {ip} {table}
table {ip} {table} {{
  map fe  {{ type {type} . inet_proto . inet_service : mark; }}
  map fi  {{ type {type} . inet_proto . inet_service : mark; }}
  map ha  {{ type {type} . inet_proto . inet_service : mark; }}
  map np  {{ type inet_proto . inet_service : mark; }}
  map ni  {{ type inet_proto . inet_service : mark; }}
  map hn  {{ type inet_proto . inet_service : mark; }}
  set fw  {{ type {type} . inet_proto . inet_service; }}
  set src {{ type {type} . inet_proto . inet_service . {type}; flags interval; }}
  map eps {{ typeof meta mark . numgen random mod 65536 : {ip} daddr . th dport; }}
  map aft {{ type mark : verdict; }}
  {learned}
  set hp  {{ type {type} . {type}; }}
  chain {version} {{ }}
  chain rej {{
    {ip} daddr {service_cidr} fib daddr type local accept
    meta l4proto tcp reject with tcp reset
    reject with {icmp} port-unreachable
  }}
  map cls {{ type mark : verdict; elements = {{ {reject} : goto rej, {drop} : drop }} }}
  chain inside {{
    meta mark set {front} map @fi {go}
    {ip} daddr != {service_cidr} {here} meta mark set meta l4proto . th dport map @ni {go}
  }}
  chain lb {{
    meta mark set {front} map @fe {go}
    meta mark set {front} map @fe {go}
    {ip} daddr {service_cidr} {ports} fib daddr type != local goto rej
    {here} meta mark set {front} map @ha {go}
    {node_ports} meta mark set meta l4proto . th dport map @np {go}
    {here} meta mark set meta l4proto . th dport map @hn {go}
  }}
  chain guard {{
    {front} @fw {front} . {ip} saddr != @src drop
  }}
  chain pre {{ type nat hook prerouting priority dstnat;
    jump guard
    {ip} saddr {cluster_cidr} jump inside
    jump lb
  }}
  chain out {{ type nat hook output priority -100;
    jump guard
    jump inside
    jump lb
  }}
  chain leakf {{ type filter hook forward priority filter;
    {ip} daddr {service_cidr} ct state new drop
    {ip} saddr {cluster_cidr} ct state invalid drop
  }}
  chain leako {{ type filter hook output priority filter;
    {ip} daddr {service_cidr} fib daddr type != local ct state new drop
  }}
  chain learn {{
    meta mark & {groups} vmap @aft
    {learn}
  }}
  chain post {{ type nat hook postrouting priority srcnat;
    meta mark & {affinity} != 0 ct status dnat jump learn
    meta mark != 0 meta mark & {keep} == 0 ct status dnat fib saddr type local masquerade
    meta mark != 0 meta mark & {keep} == 0 ct status dnat ct original {ip} daddr != {service_cidr} masquerade fully-random
    meta mark != 0 ct status dnat ct original {ip} daddr {service_cidr} {ip} saddr != {cluster_cidr} masquerade fully-random
    ct status dnat {ip} saddr . {ip} daddr @hp masquerade fully-random
  }}
}}
"""  # noqa: E501 - rules read best on one line


class Skeleton:
    """The text for one cluster's networks. `node_port_ranges`: of which of this host's addresses node ports
    are answered on, all when there are none."""

    def __init__(
        self,
        service_cidr: str,
        cluster_cidr: str,
        node_port_ranges: Sequence[str] = (),
        family: Family = IPV4,
    ) -> None:
        self._family = family
        self._words = {"service_cidr": service_cidr, "cluster_cidr": cluster_cidr} | _words(family)
        here = where = self._words["here"]
        if node_port_ranges:
            where = f"{here} {family.nft} daddr {{ {', '.join(node_port_ranges)} }}"
        self._words["node_ports"] = where
        text = self._render("") + chains(Needs({0}, {1}), family)
        self.version = "skeleton_" + hashlib.sha256(text.encode()).hexdigest()[:8]

    def table(self, needs: Needs) -> str:
        """The whole table, in the place of any that was there, with the chains that are needed."""
        return self._render(self.version) + chains(needs, self._family)

    def _render(self, version: str) -> str:
        return _TABLE.format(
            **self._words,
            table=TABLE,
            version=version,
            reject=REJECT,
            drop=DROP,
            go=_GO,
            ports=_PORTS,
            learned="\n  ".join(_learned_maps(self._family)),
            learn=_learn(AFFINITY_SECONDS, self._family),
            groups=f"{GROUP_MASK:#x}",
            affinity=f"{AFFINITY:#x}",
            keep=f"{KEEP_CLIENT:#x}",
        )


def _words(family: Family) -> dict[str, str]:
    """The family's, in the text above."""
    return {
        "ip": family.nft,
        "type": family.address_type,
        "icmp": family.icmp,
        "front": f"{family.nft} daddr . meta l4proto . th dport",
        "here": f"fib daddr type local {family.nft} daddr != {family.loopback}",
    }


def chains(needs: Needs, family: Family = IPV4) -> str:
    """What adds these chains to a table that has none of them."""
    sizes = [size for block in sorted(needs.blocks) for size in _sizes(block)]
    text = "".join(_choose(size, family) for size in sizes)
    text += "".join(f"  chain t{one} {{\n    {_learn(one, family)}\n  }}\n" for one in sorted(needs.timeouts))
    if not text:
        return ""
    classes = ", ".join(f"{size} : goto n{size}, {size | AFFINITY} : goto a{size}" for size in sizes)
    more = f"add element {family.nft} {TABLE} cls {{ {classes} }}\n" if classes else ""
    return f"table {family.nft} {TABLE} {{\n{text}}}\n{more}"


def names(needs: Needs) -> Collection[str]:
    """A chain of each block, and of each timeout."""
    return {f"n{block * STEP + 1}" for block in needs.blocks} | {f"t{one}" for one in needs.timeouts}


def _sizes(block: int) -> range:
    return range(block * STEP + 1, min((block + 1) * STEP, MOST_ENDPOINTS) + 1)


def _learned_maps(family: Family) -> tuple[str, ...]:
    """What clients are bound to. nft has 16 bytes for a key that rules add, and for its data: of IPv6 the
    client's address becomes a number, and address and port of the endpoint have a map each."""
    if family is IPV4:
        return (f"map aff {{ type mark . ipv4_addr : ipv4_addr . inet_service; {_LEARNED}; }}",)
    key = "typeof meta mark . numgen random mod 65536"
    return (f"map aff {{ {key} : ip6 daddr; {_LEARNED}; }}", f"map afp {{ {key} : th dport; {_LEARNED}; }}")


def _client(family: Family) -> str:
    """The key under which a client's endpoint is learned."""
    address = "ip saddr" if family is IPV4 else "jhash ip6 saddr mod 4294967295 seed 1"
    return f"meta mark & {GROUP_MASK:#x} . {address}"


def _learn(seconds: int, family: Family) -> str:
    key = f"{_client(family)} timeout {seconds}s"
    if family is IPV4:
        return f"update @aff {{ {key} : ip daddr . th dport }}"
    return f"update @aff {{ {key} : ip6 daddr }} update @afp {{ {key} : th dport }}"


def _recall(family: Family) -> str:
    """To the endpoint that the client is bound to."""
    key = _client(family)
    if family is IPV4:
        return f"{_PORTS} dnat ip addr . port to {key} map @aff"
    return f"{_PORTS} dnat to {key} map @aff : {key} map @afp"


def _choose(size: int, family: Family) -> str:
    dnat = f"{_PORTS} dnat {family.nft} addr . port to meta mark & {GROUP_MASK:#x}"
    return (
        f"  chain n{size} {{\n"
        f"    {dnat} . numgen random mod {size} map @eps\n"
        f"    {dnat} . numgen random mod 1 map @eps\n"
        "    drop\n  }\n"
        f"  chain a{size} {{\n    {_recall(family)}\n    goto n{size}\n  }}\n"
    )
