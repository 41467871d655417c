"""Why a Service does not answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mini8s.cli.causes.base import Cause, World, count, title
from mini8s.cli.causes.pods import pod
from mini8s.objects import conditions, meta
from mini8s.objects.kinds import ENDPOINTSLICES, NETWORKPOLICIES, PODS, Obj
from mini8s.objects.labels import from_label_selector, from_labels


def service(world: World, obj: Obj) -> Cause:
    about, spec = title(obj), obj["spec"]
    if spec.get("type") == "ExternalName":
        return Cause(about, f"it is another name for {spec.get('externalName')}", well=True)
    ready = _ready(world, obj)
    if not ready:
        return _nobody(world, obj)
    if spec.get("type") == "LoadBalancer" and not ((obj.get("status") or {}).get("loadBalancer") or {}).get(
        "ingress"
    ):
        said = (conditions.get(obj, "LoadBalancerPortsError") or {}).get("message")
        why = f": {said}" if said else ""
        inside = "it answers inside the cluster, and no host has taken its address and ports outside"
        return Cause(about, inside + why)
    ports = ", ".join(str(port["port"]) for port in spec.get("ports") or ())
    if spec.get("clusterIP") == "None":
        return Cause(about, f"it is headless: its name leads to {count(ready, 'ready pod')}", well=True)
    where = f"it answers at {spec.get('clusterIP')} on {ports} with {count(ready, 'ready pod')}"
    guards = list(_guards(world, obj))
    return Cause(about, where, guards, well=True)


def _ready(world: World, obj: Obj) -> int:
    """How many addresses are ready; upstream counts unknown as ready."""
    slices = world.list(
        ENDPOINTSLICES, meta.namespace(obj), labels=f"kubernetes.io/service-name={meta.name(obj)}"
    )
    return sum(
        (one.get("conditions") or {}).get("ready") is not False and bool(part.get("ports"))
        for part in slices
        for one in part.get("endpoints") or ()
    )


def _nobody(world: World, obj: Obj) -> Cause:
    about, selector = title(obj), obj["spec"].get("selector") or {}
    if not selector:
        return Cause(about, "it selects no pods, and nobody has written endpoints for it")
    chosen = _selected(world, obj)
    words = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    if not chosen:
        return Cause(about, f"no pod is labelled {words}", tuple(_near(world, obj)))
    behind = [cause for one in chosen if not (cause := pod(world, one)).well]
    if behind:
        return Cause(about, f"none of the {count(len(chosen), 'pod')} that it selects is ready", behind)
    missing = [port["targetPort"] for port in obj["spec"].get("ports") or () if _unnamed(port, chosen)]
    if missing:
        return Cause(about, f"no container of its pods calls a port {', '.join(map(str, missing))}")
    return Cause(about, f"{count(len(chosen), 'pod')} will do, and the endpoints are not written yet")


def _selected(world: World, obj: Obj) -> Sequence[Obj]:
    selector = from_labels(obj["spec"].get("selector") or {})
    return [one for one in world.list(PODS, meta.namespace(obj)) if selector.matches(meta.labels(one))]


def _near(world: World, obj: Obj) -> Iterator[Cause]:
    """Pods that have the same keys with other values: a slip of the pen, most often."""
    selector = obj["spec"].get("selector") or {}
    for one in world.list(PODS, meta.namespace(obj)):
        others = {key: meta.labels(one)[key] for key in selector if key in meta.labels(one)}
        if others:
            words = ",".join(f"{key}={value}" for key, value in sorted(others.items()))
            yield Cause(title(one), f"it is labelled {words}")


def _unnamed(port: Obj, chosen: Sequence[Obj]) -> bool:
    target = port.get("targetPort")
    names = {
        there.get("name")
        for one in chosen
        for container in one["spec"].get("containers") or ()
        for there in container.get("ports") or ()
    }
    return isinstance(target, str) and target not in names


def _guards(world: World, obj: Obj) -> Iterator[Cause]:
    """Policies that say who may reach its pods."""
    chosen = [one for one in _selected(world, obj) if conditions.is_true(one, "Ready")]
    for policy in world.list(NETWORKPOLICIES, meta.namespace(obj)):
        selector = from_label_selector(policy["spec"].get("podSelector") or {})
        incoming = "Ingress" in (policy["spec"].get("policyTypes") or ("Ingress",))
        if incoming and any(selector.matches(meta.labels(one)) for one in chosen):
            let = len(policy["spec"].get("ingress") or ())
            words = f"lets in who meets one of its {count(let, 'rule')}" if let else "lets nobody in"
            yield Cause(title(policy), f"it {words}", well=True)
