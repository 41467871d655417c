"""Rules of Nodes."""

from __future__ import annotations

import ipaddress

from mini8s.objects import ip, names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, named
from mini8s.registry.rules import values

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def check(node: Obj) -> Causes:
    spec = node.get("spec") or {}
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(spec.get("taints") or ()):
        path, key = f"spec.taints[{index}]", taint.get("key") or ""
        yield from named(f"{path}.key", key, names.qualified_name(key))
        value = taint.get("value") or ""
        yield from named(f"{path}.value", value, names.label_value(value))
        yield from values.one_of(taint, "effect", path, _EFFECTS, must=True)
        identity = (key, taint.get("effect") or "")
        if identity in seen:
            yield duplicate(path, taint)
        seen.add(identity)
    yield from _ranges(spec)


def same_range(new: Obj, old: Obj) -> Causes:
    """A node keeps its pod range, the addresses of its pods are out of it."""
    before = (old.get("spec") or {}).get("podCIDRs") or []
    if before != (new["spec"].get("podCIDRs") or [])[: len(before)]:
        why = 'node updates may not change podCIDR except from "" to valid'
        yield forbidden("spec.podCIDR", why)


def _ranges(spec: Obj) -> Causes:
    """One, or one of each family (`ValidateNode`)."""
    first, listed = spec.get("podCIDR") or "", spec.get("podCIDRs") or []
    fields = [("spec.podCIDR", first)] if first else []
    fields += [(f"spec.podCIDRs[{index}]", one) for index, one in enumerate(listed) if one != first]
    for field, text in fields:
        if not _is_range(text):
            yield invalid(field, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
    if len(listed) > len({ip.family(one) for one in listed}):
        yield invalid("spec.podCIDRs", listed, "may specify no more than one CIDR for each IP family")


def _is_range(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text
