"""Nodes: a host that runs pods. Its pod range comes from `registry.allocators`."""

from __future__ import annotations

from mini8s.objects import conditions, meta
from mini8s.objects.kinds import NODES, Obj
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, NONE, column, spec, status
from mini8s.registry.rules import nodes
from mini8s.registry.strategy import STATUS, Strategy, Update, keep_status, selectable

_ROLE, _OLD_ROLE = "node-role.kubernetes.io/", "kubernetes.io/role"


def _begin(new: Obj) -> None:
    _complete(new.setdefault("spec", {}))
    new.setdefault("status", {})


def _keep(new: Obj, old: Obj) -> None:
    keep_status(new, old)
    now = new.setdefault("spec", {})
    for part in ("podCIDR", "podCIDRs", "providerID"):
        if old["spec"].get(part):
            now.setdefault(part, old["spec"][part])
    _complete(now)


def _complete(spec: Obj) -> None:
    """The first range is said twice; who changed it alone said it of all
    (`Convert_v1_NodeSpec_To_core_NodeSpec`)."""
    first, listed = spec.get("podCIDR"), spec.get("podCIDRs") or []
    if first and first not in listed[:1]:
        spec["podCIDRs"] = [first]
    elif listed and not first:
        spec["podCIDR"] = listed[0]


def _word(node: Obj) -> str:
    ready = conditions.get(node, "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if spec(node).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Obj) -> str:
    found = {key.removeprefix(_ROLE) for key in meta.labels(node) if key.startswith(_ROLE)}
    found.add(meta.labels(node).get(_OLD_ROLE) or "")
    return columns.joined(sorted(found - {""}))


def _address(node: Obj, type: str) -> str:
    addresses = status(node).get("addresses") or ()
    return next((item.get("address") or NONE for item in addresses if item.get("type") == type), NONE)


def _info(node: Obj, part: str) -> str:
    return str((status(node).get("nodeInfo") or {}).get(part) or "<unknown>")


STRATEGY = Strategy(
    kind=NODES,
    columns=(
        NAME,
        column("Status", _word),
        column("Roles", _roles),
        AGE,
        column("Version", lambda obj: (status(obj).get("nodeInfo") or {}).get("kubeletVersion") or ""),
        column("Internal-IP", lambda obj: _address(obj, "InternalIP"), wide=True),
        column("External-IP", lambda obj: _address(obj, "ExternalIP"), wide=True),
        column("OS-Image", lambda obj: _info(obj, "osImage"), wide=True),
        column("Kernel-Version", lambda obj: _info(obj, "kernelVersion"), wide=True),
        column("Container-Runtime", lambda obj: _info(obj, "containerRuntimeVersion"), wide=True),
    ),
    fields=selectable("spec.unschedulable"),
    prepare_for_create=_begin,
    validate=nodes.check,
    update=Update(_keep, nodes.same_range),
    subresources=STATUS,
)
