"""The `resize` subresource: other amounts of cpu and memory for containers that run (KEP-1287;
`ValidatePodResize` of 1.33)."""

from __future__ import annotations

from typing import Any

from mini8s.objects import meta, pods, quantity
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid
from mini8s.registry.rules import containers
from mini8s.registry.rules.ephemeral_containers import keep_but_spec

_RESIZABLE = ("cpu", "memory")
_ONLY = "only cpu and memory resources are mutable"
_MAY_CHANGE = ("resources", "resizePolicy")


def only(new: Obj, old: Obj) -> None:
    """Of what a client sent nothing counts but the resources of containers that keep their place and name;
    with others the rules below refuse it whole."""
    sent, spec = new.get("spec") or {}, dict(old["spec"])
    for part in containers.PARTS:
        now, before = sent.get(part) or [], spec.get(part) or []
        if [item.get("name") for item in now] != [item.get("name") for item in before]:
            spec[part] = now
        elif before:
            spec[part] = [_with_resources(*pair) for pair in zip(before, now, strict=True)]
    keep_but_spec(new, old, spec)


def check_update(new: Obj, old: Obj) -> Causes:
    if why := _impossible(old):
        yield forbidden("", why)
        return
    spec, was = new["spec"], old["spec"]
    if moved := list(_same_containers(spec, was)):
        yield from moved
        return
    qos = pods.qos_class(spec)
    if (old.get("status") or {}).get("qosClass", pods.qos_class(was)) != qos:
        yield invalid("spec", qos, "Pod QOS Class may not change as a result of resizing")
    if not _node_can(old):
        yield forbidden("spec", "Pod running on node without support for resize")
    for part in containers.PARTS:
        for index, (now, before) in enumerate(zip(spec.get(part) or (), was.get(part) or (), strict=True)):
            yield from _container(now, before, part, f"spec.{part}[{index}].resources")


def _impossible(pod: Obj) -> str:
    pod_level = pod["spec"].get("resources") or {}
    if pod_level.get("requests") or pod_level.get("limits"):
        return "pods with pod-level resources cannot be resized"
    if pods.MIRROR in meta.annotations(pod):
        return "static pods cannot be resized"
    windows = (pod["spec"].get("os") or {}).get("name") == "windows"
    return "windows pods cannot be resized" if windows else ""


def _same_containers(spec: Obj, was: Obj) -> Causes:
    for part in containers.PARTS:
        now, before = spec.get(part) or (), was.get(part) or ()
        if len(now) != len(before):
            yield forbidden(f"spec.{part}", f"{part} may not be added or removed on resize")
            continue
        for index, pair in enumerate(zip(now, before, strict=True)):
            if pair[0].get("name") != pair[1].get("name"):
                why = f"{part} may not be renamed or reordered on resize"
                yield forbidden(f"spec.{part}[{index}].name", why)


def _node_can(pod: Obj) -> bool:
    """An agent that can resize says of a running container which resources it has."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        if (container.get("state") or {}).get("running") is not None:
            return container.get("resources") is not None
    return True


def _container(now: Obj, before: Obj, part: str, field: str) -> Causes:
    starts = part == "initContainers" and not pods.is_sidecar(before)
    if starts:
        if now != before:
            yield forbidden("spec", "resources for non-sidecar init containers are immutable")
        return
    after, was = now.get("resources") or {}, before.get("resources") or {}
    for side, word in (("requests", "resource requests"), ("limits", "resource limits")):
        if set(was.get(side) or ()) - set(after.get(side) or ()):
            yield forbidden(f"{field}.{side}", f"{word} cannot be removed")
    yield from _memory_limit(now, after.get("limits") or {}, was.get("limits") or {}, field)
    if _fixed(now) != _fixed(before):
        sidecar = "only cpu and memory resources for sidecar containers are mutable"
        yield forbidden("spec", sidecar if part == "initContainers" else _ONLY)


def _memory_limit(container: Obj, limits: Obj, was: Obj, field: str) -> Causes:
    """A process that holds more than a new limit would be killed, so that a smaller one needs a restart."""
    policies = {item.get("resourceName"): item for item in container.get("resizePolicy") or ()}
    if (policies.get("memory") or {}).get("restartPolicy") == "RestartContainer" or "memory" not in limits:
        return
    word = "" if "memory" in was else "added"
    if not word and quantity.parse(limits["memory"]) < quantity.parse(was["memory"]):
        word = "decreased"
    if word:
        why = f"memory limits cannot be {word} unless resizePolicy is RestartContainer"
        yield forbidden(f"{field}.limits[memory]", why)


def _fixed(container: Obj) -> Any:
    """What must stay as it is."""
    resources = container.get("resources") or {}
    rest = {
        side: {name: amount for name, amount in (resources.get(side) or {}).items() if name not in _RESIZABLE}
        for side in ("requests", "limits")
    }
    return container | {"resources": rest | {"claims": resources.get("claims")}}


def _with_resources(before: Obj, now: Obj) -> Obj:
    made = {part: value for part, value in before.items() if part not in _MAY_CHANGE}
    return made | {part: now[part] for part in _MAY_CHANGE if part in now}
