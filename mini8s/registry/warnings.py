"""What is taken although its author hardly means it: said in Warning headers, which kubectl prints.

The sentences are upstream's (`pkg/api/pod/warnings.go` and the kinds' strategies).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mini8s.objects import meta, quantity
from mini8s.objects.kinds import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    INGRESSES,
    JOBS,
    PODS,
    PODTEMPLATES,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
    Kind,
    Obj,
)

_PODS_AT: Mapping[Kind, str] = {  # where a kind has what pods are made of
    PODS: "",
    PODTEMPLATES: "template",
    CRONJOBS: "spec.jobTemplate.spec.template",
    **dict.fromkeys(
        (DEPLOYMENTS, REPLICASETS, REPLICATIONCONTROLLERS, STATEFULSETS, DAEMONSETS, JOBS), "spec.template"
    ),
}
_NAMES_PODS = {DEPLOYMENTS, REPLICASETS, REPLICATIONCONTROLLERS, JOBS, CRONJOBS}
_OLD_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
}
_LISTS = ("initContainers", "containers", "ephemeralContainers")
_BYTES = ("memory", "ephemeral-storage")
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_SURPRISING = "which can result in surprising behavior; a DNS label is recommended"


def of_new(kind: Kind, obj: Obj) -> Iterator[str]:
    if kind is PODS or kind in _NAMES_PODS:
        yield from _name(kind, meta.name(obj))
    if kind is INGRESSES and _INGRESS_CLASS in meta.annotations(obj):
        yield f"annotation \"{_INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"
    yield from of_changed(kind, obj)


def of_changed(kind: Kind, obj: Obj) -> Iterator[str]:
    """Of an object of a new generation."""
    at = _PODS_AT.get(kind)
    if at is not None:
        holder: Any = obj
        for step in filter(None, at.split(".")):
            holder = holder.get(step) or {}
        yield from _pod(holder.get("spec") or {}, f"{at}.spec" if at else "spec")


def _name(kind: Kind, name: str) -> Iterator[str]:
    used = "the Pod's hostname" if kind is PODS else "Pod names and hostnames"
    wrong = ["must be no more than 63 characters"] if len(name) > 63 else []
    wrong += ["must not contain dots"] if "." in name else []
    if wrong:
        yield f"metadata.name: this is used in {used}, {_SURPRISING}: [{' '.join(wrong)}]"


def _pod(spec: Obj, path: str) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in _OLD_LABELS:
            since, instead = _OLD_LABELS[key]
            yield f'{path}.nodeSelector[{key}]: deprecated since {since}; use "{instead}" instead'
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{path}.terminationGracePeriodSeconds: {why}"
    ports: dict[tuple[Any, ...], str] = {}
    for part in _LISTS:
        for index, container in enumerate(spec.get(part) or ()):
            place = f"{path}.{part}[{index}]"
            yield from _environment(container, place)
            yield from _fractions(container, place)
            yield from _ports(container, place, ports)


def _environment(container: Obj, path: str) -> Iterator[str]:
    """A name that is there before, unless the new value is made of the old one."""
    seen: set[str] = set()
    for index, entry in enumerate(container.get("env") or ()):
        name, value = entry.get("name") or "", entry.get("value") or ""
        own = f"$({name})"
        if name in seen and (entry.get("valueFrom") or value == own or own not in value):
            why = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield f"{path}.env[{index}]: {why}"
        seen.add(name)


def _fractions(container: Obj, path: str) -> Iterator[str]:
    resources = container.get("resources") or {}
    for part in ("limits", "requests"):
        for name in _BYTES:
            value = (resources.get(part) or {}).get(name)
            if value is not None and quantity.milli(value) % 1000:
                why = f'fractional byte value "{value}" is invalid, must be an integer'
                yield f"{path}.resources.{part}[{name}]: {why}"


def _ports(container: Obj, path: str, seen: dict[tuple[Any, ...], str]) -> Iterator[str]:
    for index, port in enumerate(container.get("ports") or ()):
        place = f"{path}.ports[{index}]"
        key = tuple(port.get(part) for part in ("containerPort", "protocol", "hostIP", "hostPort"))
        if key in seen:
            yield f"{place}: duplicate port definition with {seen[key]}"
        seen.setdefault(key, place)
