"""NetworkPolicies, and what of pods and namespaces they judge by, as typed facts. PURE, and tolerant as
`agent.network.facts` says: a part that can't be understood allows nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mini8s.agent.network.elements import PROTOCOLS
from mini8s.agent.network.facts import items, listening
from mini8s.agent.network.family import FAMILIES
from mini8s.objects import ip, meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.objects.labels import Selector, from_label_selector
from mini8s.objects.pods import is_terminal

MOST_PORT = 65535
_LEAN_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels")
_PORT_FIELDS = ("name", "containerPort", "protocol")

Interval = tuple[int, int]  # both ends belong to it
Labels = frozenset[tuple[str, str]]
PortRange = tuple[str, int, int]  # protocol, first, last
NamedPort = tuple[str, str, int]  # name, protocol, number


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod with an address of its own; what shares labels and named ports is judged alike."""

    namespace: str
    labels: Labels
    ports: tuple[NamedPort, ...]
    address: str


@dataclass(frozen=True, slots=True)
class Port:
    """The ports that a rule speaks of: a range, or a name that each destination pod gives its own number."""

    protocol: str
    first: int = 0
    last: int = MOST_PORT
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods as peers. Without `namespaces` those of the policy's own namespace are meant."""

    pods: Selector
    namespaces: Selector | None
    own: str


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses as peers: a range with holes, as intervals that don't touch."""

    intervals: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one entry of `ingress` or `egress` allows; None is everybody, or every port of every protocol."""

    peers: tuple[Pods | Block, ...] | None
    ports: tuple[Port, ...] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """`ingress` and `egress` are None for a direction that the policy says nothing about."""

    key: str
    namespace: str
    selector: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None


def policy(obj: Obj, family: str = ip.IPV4) -> Policy:
    """What it says of addresses of the family. A missing `policyTypes` means what the API documents; the
    server fills it in besides."""
    spec = obj.get("spec") or {}
    own = meta.namespace(obj)
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    return Policy(
        key=meta.key(obj),
        namespace=own,
        selector=_selector(spec.get("podSelector") or {}),
        ingress=_rules(spec.get("ingress"), "from", own, family) if "Ingress" in types else None,
        egress=_rules(spec.get("egress"), "to", own, family) if "Egress" in types else None,
    )


def pod(obj: Obj, address: str = "", family: str = ip.IPV4) -> Pod | None:
    """None when policies don't judge it: no address of its own in the family (yet), or it has ended and
    somebody else may have its address."""
    spec = obj.get("spec") or {}
    address = address or ip.by_family(ip.pod_addresses(obj)).get(family, "")
    if spec.get("hostNetwork") or is_terminal(obj) or ip.family_of_address(address) != family:
        return None
    return Pod(meta.namespace(obj), labels(meta.labels(obj)), tuple(_named_ports(spec)), address)


def labels(found: Mapping[str, str]) -> Labels:
    return frozenset((str(key), str(value)) for key, value in found.items())


def lean(obj: Obj) -> Obj:
    """What a host keeps of a pod that may be a peer: who it is and where, and the ports that have names."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ports = [
        {field: port[field] for field in _PORT_FIELDS if field in port}
        for container in listening(spec)
        for port in items(container.get("ports"))
        if port.get("name")
    ]
    kept: Obj = {"containers": [{"ports": ports}]} if ports else {}
    if spec.get("hostNetwork"):
        kept["hostNetwork"] = True
    metadata = obj.get("metadata") or {}
    kept_status = ("phase", "podIP", "podIPs") if len(status.get("podIPs") or ()) > 1 else ("phase", "podIP")
    return {
        "metadata": {field: metadata[field] for field in _LEAN_METADATA if field in metadata},
        "spec": kept,
        "status": {field: status[field] for field in kept_status if field in status},
    }


def _named_ports(spec: Obj) -> Iterator[NamedPort]:
    for container in listening(spec):
        for port in items(container.get("ports")):
            number, protocol = port.get("containerPort"), str(port.get("protocol") or "TCP").lower()
            if port.get("name") and isinstance(number, int) and protocol in PROTOCOLS:
                yield str(port["name"]), protocol, number


def _rules(value: Any, peers: str, own: str, family: str) -> tuple[Rule, ...]:
    return tuple(_rule(one, peers, own, family) for one in items(value))


def _rule(obj: Obj, peers: str, own: str, family: str) -> Rule:
    """An empty list says the same as none."""
    ports, who = items(obj.get("ports")), items(obj.get(peers))
    return Rule(
        tuple(found for found in (_peer(one, own, family) for one in who) if found) if who else None,
        tuple(found for found in map(_port, ports) if found) if ports else None,
    )


def _peer(obj: Obj, own: str, family: str) -> Pods | Block | None:
    if obj.get("ipBlock"):
        return _block(obj["ipBlock"], family)
    pods, namespaces = obj.get("podSelector"), obj.get("namespaceSelector")
    if pods is None and namespaces is None:
        return None
    return Pods(_selector(pods or {}), None if namespaces is None else _selector(namespaces), own)


def _block(obj: Obj, family: str) -> Block | None:
    whole = _interval(obj.get("cidr"), family)
    if whole is None:
        return None
    holes = sorted(found for one in obj.get("except") or () if (found := _interval(one, family)))
    intervals, begin = [], whole[0]
    for first, last in holes:
        if first > begin:
            intervals.append((begin, min(first - 1, whole[1])))
        begin = max(begin, last + 1)
    if begin <= whole[1]:
        intervals.append((begin, whole[1]))
    return Block(tuple(intervals))


def everywhere(family: str) -> Interval:
    """All addresses there are."""
    return 0, (1 << FAMILIES[family].bits) - 1


def _interval(text: Any, family: str) -> Interval | None:
    """None for what isn't of the family: what a policy says of the other one is judged there."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if f"IPv{network.version}" != family:
        return None
    return int(network.network_address), int(network.broadcast_address)


def _port(obj: Obj) -> Port | None:
    protocol, value, end = str(obj.get("protocol") or "TCP").lower(), obj.get("port"), obj.get("endPort")
    if protocol not in PROTOCOLS:
        return None
    if value is None:
        return Port(protocol)
    if isinstance(value, str):
        return Port(protocol, name=value)
    return Port(protocol, int(value), int(end or value))


def _selector(obj: Obj) -> Selector:
    try:
        return from_label_selector(obj)
    except BadRequest:
        return Selector(none=True)
