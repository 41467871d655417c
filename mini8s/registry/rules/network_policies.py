"""Rules of NetworkPolicies."""

from __future__ import annotations

import ipaddress

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named, required
from mini8s.registry.rules import selectors, values

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_TYPES = ("Egress", "Ingress")
_NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def check(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    yield from selectors.label_selector(spec.get("podSelector") or {}, "spec.podSelector")
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(way) or ()):
            path = f"spec.{way}[{index}]"
            for place, port in enumerate(rule.get("ports") or ()):
                yield from _port(port, f"{path}.ports[{place}]")
            for place, peer in enumerate(rule.get(peers) or ()):
                yield from _peer(peer, f"{path}.{peers}[{place}]")
    types = spec.get("policyTypes") or ()
    if len(types) > len(_TYPES):
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    yield from values.each_one_of(types, "spec.policyTypes", _TYPES)


def _port(found: Obj, field: str) -> Causes:
    port, end = found.get("port"), found.get("endPort")
    yield from values.one_of(found, "protocol", field, _PROTOCOLS)
    if port is None:
        if end is not None:
            yield invalid(f"{field}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(port, str):
        if end is not None:
            yield invalid(f"{field}.endPort", end, "may not be specified when `port` is non-numeric")
        yield from named(f"{field}.port", port, names.port_name(port))
    else:
        yield from values.port_number(port, f"{field}.port")
        if end is not None:
            if end < port:
                yield invalid(f"{field}.endPort", end, "must be greater than or equal to `port`")
            yield from values.port_number(end, f"{field}.endPort")


def _peer(found: Obj, field: str) -> Causes:
    block = found.get("ipBlock")
    chosen = [part for part in ("podSelector", "namespaceSelector") if found.get(part) is not None]
    for part in chosen:
        yield from selectors.label_selector(found[part], f"{field}.{part}")
    if block is not None:
        yield from _block(block, f"{field}.ipBlock")
    if not chosen and block is None:
        yield required(field, "must specify a peer")
    elif chosen and block is not None:
        yield forbidden(field, "may not specify both ipBlock and another peer")


def _block(block: Obj, field: str) -> Causes:
    stated = block.get("cidr") or ""
    if not stated:
        yield required(f"{field}.cidr")
        return
    whole = _network(stated)
    if whole is None:
        yield invalid(f"{field}.cidr", stated, _NO_CIDR)
        return
    for index, text in enumerate(block.get("except") or ()):
        part, path = _network(text), f"{field}.except[{index}]"
        if part is None:
            yield invalid(path, text, _NO_CIDR)
        elif part.prefixlen <= whole.prefixlen or part.network_address not in whole:
            yield invalid(path, text, "must be a strict subset of `cidr`")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
