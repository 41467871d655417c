"""Which hosts a load balancer may have. PURE.

All of them, until one node carries the label `mini8s.io/lb`: from then on only the labelled. A Service with
the same label chooses the nodes that bear its value, and `true` is the value of Services without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mini8s.objects import conditions, ingresses, ip, meta
from mini8s.objects.kinds import Obj

LABEL = "mini8s.io/lb"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


def hosts(
    service: Obj, nodes: Sequence[Obj], serving: Iterable[str] | None, family: str = ip.IPV4
) -> dict[str, str]:
    """Addresses of a family by the name of the node. `serving`: the only nodes to choose from, where
    endpoints are."""
    pools = any(LABEL in meta.labels(node) for node in nodes)
    pool = meta.labels(service).get(LABEL) or "true"
    chosen = None if serving is None else set(serving)
    return {
        meta.name(node): address
        for node in nodes
        if (address := _addresses(node).get(family))
        and conditions.is_true(node, "Ready")
        and EXCLUDED not in meta.labels(node)
        and (meta.labels(node).get(LABEL) == pool if pools else LABEL not in meta.labels(service))
        and (chosen is None or meta.name(node) in chosen)
    }


def serving_nodes(slices: Iterable[Obj]) -> set[str]:
    """Where ready endpoints are."""
    return {
        str(one["nodeName"])
        for piece in slices
        for one in piece.get("endpoints") or ()
        if one.get("nodeName") and (one.get("conditions") or {}).get("ready") is not False
    }


def facts(node: Obj) -> tuple[Mapping[str, str], bool, Mapping[str, str], list[int]]:
    """What of a node counts here: heartbeats change it all the time."""
    labels = {key: value for key, value in meta.labels(node).items() if key in (LABEL, EXCLUDED)}
    return _addresses(node), conditions.is_true(node, "Ready"), labels, ingresses.served_ports(node)


def _addresses(node: Obj) -> dict[str, str]:
    """By family: the external one if it has one, as k3s chooses."""
    return ip.node_addresses(node) | ip.node_addresses(node, "ExternalIP")
