"""Rules of Nodes."""

from __future__ import annotations

import ipaddress

from mini8s.objects import names
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
    if cidr := spec.get("podCIDR"):
        yield from _cidr(cidr, "spec.podCIDR")


def same_range(new: Obj, old: Obj) -> Causes:
    """A node keeps its pod range, the addresses of its pods are out of it."""
    before = (old.get("spec") or {}).get("podCIDR")
    if before and new["spec"].get("podCIDR") != before:
        why = 'node updates may not change podCIDR except from "" to valid'
        yield forbidden("spec.podCIDR", why)


def _cidr(text: str, field: str) -> Causes:
    try:
        ipaddress.IPv4Network(text)
    except ValueError:
        yield invalid(field, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24)")
