"""metrics.k8s.io: what nodes and pods use right now, as `kubectl top` and autoscalers ask for it.

Objects of these kinds are put together when they are asked for: names and labels are those of the stored node
or pod, figures those of its host's agent. What no figures are known of is left out of a list, and is not
found by name; the words are metrics-server's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from mini8s.api.node_usage import NodeUsage
from mini8s.objects import meta, pods, quantity
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import NODEMETRICS, NODES, PODMETRICS, PODS, Kind, Obj
from mini8s.objects.time import format_time
from mini8s.registry.base import Column, ListOptions, Registry
from mini8s.registry.columns import NAME, column
from mini8s.wire.codec import decode_json


class Shown(Protocol):
    """How a kind is read whose objects are answered and not kept."""

    @property
    def columns(self) -> Sequence[Column]: ...

    def get(self, namespace: str, name: str) -> Obj:
        """Raises ApiError."""

    def list(self, namespace: str, options: ListOptions) -> Sequence[Obj]:
        """All that are selected, in one page. Raises ApiError."""


class Measured:
    """One of the two kinds: `of` is the stored kind whose objects are measured."""

    def __init__(self, kind: Kind, registry: Registry, usage: NodeUsage, now: Callable[[], datetime]) -> None:
        self.columns = _COLUMNS
        self._kind = kind
        self._of = NODES if kind is NODEMETRICS else PODS
        self._registry = registry
        self._usage = usage
        self._now = now

    def get(self, namespace: str, name: str) -> Obj:
        stored: Obj = decode_json(self._registry.get(self._of, namespace, name))
        found = self._measured([stored])
        if not found:
            raise _no_figures(self._kind, namespace, name)
        return found[0]

    def list(self, namespace: str, options: ListOptions) -> Sequence[Obj]:
        selected = ListOptions(label_selector=options.label_selector, field_selector=options.field_selector)
        listed = self._registry.list(self._of, namespace, selected)
        return self._measured([decode_json(item) for item in listed.items])

    def _measured(self, stored: Sequence[Obj]) -> Sequence[Obj]:
        if self._kind is NODEMETRICS:
            summaries = self._usage.of(meta.name(node) for node in stored)
            return node_metrics(stored, summaries, self._now())
        hosts = {pods.node_name(pod) for pod in stored if pods.phase(pod) == "Running"}
        return pod_metrics(stored, self._usage.of(hosts - {""}), self._now())


def measured(registry: Registry, usage: NodeUsage, now: Callable[[], datetime]) -> Mapping[Kind, Shown]:
    return {kind: Measured(kind, registry, usage, now) for kind in (NODEMETRICS, PODMETRICS)}


def node_metrics(nodes: Iterable[Obj], summaries: Mapping[str, Obj], now: datetime) -> Sequence[Obj]:
    """NodeMetrics of the nodes whose summary says a rate."""
    told = ((node, (summaries.get(meta.name(node)) or {}).get("node")) for node in nodes)
    return [
        _object(NODEMETRICS, node, said, now) | {"usage": _usage(said)}
        for node, said in told
        if said and _has_rate(said)
    ]


def pod_metrics(stored: Iterable[Obj], summaries: Mapping[str, Obj], now: datetime) -> Sequence[Obj]:
    """PodMetrics of the pods that run and of whose containers each has a rate."""
    told = {one["podRef"]["uid"]: one for said in summaries.values() for one in said["pods"]}
    found = []
    for pod in stored:
        said = told.get(meta.uid(pod))
        if said and said["containers"] and all(map(_has_rate, [said, *said["containers"]])):
            listed = [{"name": one["name"], "usage": _usage(one)} for one in said["containers"]]
            found.append(_object(PODMETRICS, pod, said, now) | {"containers": listed})
    return found


def _has_rate(said: Obj) -> bool:
    return "usageNanoCores" in said["cpu"]


def _object(kind: Kind, stored: Obj, said: Obj, now: datetime) -> Obj:
    metadata: Obj = {"name": meta.name(stored), "creationTimestamp": format_time(now)}
    if kind.namespaced:
        metadata["namespace"] = meta.namespace(stored)
    if meta.labels(stored):
        metadata["labels"] = meta.labels(stored)
    return {
        "kind": kind.kind,
        "apiVersion": kind.api_version,
        "metadata": metadata,
        "timestamp": said["cpu"]["time"],
        "window": _duration(said["cpu"]["windowSeconds"]),
    }


def _usage(said: Obj) -> Obj:
    return {
        "cpu": quantity.canonical(f"{said['cpu']['usageNanoCores']}n"),
        "memory": quantity.format_binary(said["memory"]["workingSetBytes"]),
    }


def _duration(seconds: float) -> str:
    """As Go prints one of less than a minute."""
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def _no_figures(kind: Kind, namespace: str, name: str) -> NotFound:
    what = f"{namespace}/{name}" if kind.namespaced else name
    resource = kind.kind.lower()
    return NotFound(f'{resource}.{kind.group} "{what}" not found', group=kind.group, kind=resource, name=what)


def _cell(resource: str) -> Callable[[Obj], Any]:
    def total(obj: Obj) -> str:
        if "usage" in obj:
            return str(obj["usage"][resource])
        each = [one["usage"][resource] for one in obj["containers"]]
        if resource == "memory":
            return quantity.format_binary(sum(map(quantity.value, each)))
        return quantity.canonical(f"{sum(int(quantity.parse(one).scaleb(9)) for one in each)}n")

    return total


_COLUMNS: Sequence[Column] = (
    NAME,
    column("cpu", _cell("cpu")),
    column("memory", _cell("memory")),
    column("Window", lambda obj: obj["window"]),
)
