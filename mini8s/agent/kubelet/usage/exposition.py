"""PURE: `/metrics/resource`, the same figures for Prometheus, under the names that the kubelet gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mini8s.agent.kubelet.usage.cgroup import Reading
from mini8s.agent.kubelet.usage.host_usage import HostReading
from mini8s.agent.kubelet.usage.usage import PodUsage, Snapshot
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_Of = Callable[[Reading | HostReading], float | int]

# what a name ends with, type, what HELP says, and its value
_MEASURES: tuple[tuple[str, str, str, _Of], ...] = (
    (
        "cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the {} in core-seconds",
        lambda used: used.cpu_ns / 1_000_000_000,
    ),
    (
        "memory_working_set_bytes",
        "gauge",
        "Current working set of the {} in bytes",
        lambda used: used.working_set,
    ),
    (
        "swap_usage_bytes",
        "gauge",
        "Current amount of the {} swap usage in bytes",
        lambda used: used.swap,
    ),
)


def exposition(snapshot: Snapshot, pod_of: Callable[[str], Obj | None]) -> str:
    """`pod_of` finds a pod by uid: what the server doesn't want any more is not told of."""
    pods = [one for one in snapshot.pods if pod_of(one.pod.uid) is not None and one.containers]
    lines = [*_measured(snapshot, pods), *_started(pods), *_errors(snapshot)]
    return "\n".join([*lines, ""])


def _measured(snapshot: Snapshot, pods: list[PodUsage]) -> Iterator[str]:
    at = int(snapshot.now.timestamp() * 1000)
    for ending, kind, about, of in _MEASURES:
        yield from _head(f"node_{ending}", kind, about.format("node"))
        yield f"node_{ending} {_number(of(snapshot.host))} {at}"
        yield from _head(f"pod_{ending}", kind, about.format("pod"))
        for pod in pods:
            yield f"pod_{ending}{{{_labels(pod)}}} {_number(of(pod.reading))} {at}"
        yield from _head(f"container_{ending}", kind, about.format("container"))
        for pod in pods:
            for one in pod.containers:
                labels = f'container="{one.container.name}",{_labels(pod)}'
                yield f"container_{ending}{{{labels}}} {_number(of(one.reading))} {at}"


def _started(pods: list[PodUsage]) -> Iterator[str]:
    name, about = "container_start_time_seconds", "Start time of the container since unix epoch in seconds"
    yield from _head(name, "gauge", about)
    for pod in pods:
        for one in pod.containers:
            began = parse_time(one.container.started_at).timestamp()
            yield f'{name}{{container="{one.container.name}",{_labels(pod)}}} {_number(began)}'


def _errors(snapshot: Snapshot) -> Iterator[str]:
    """`scrape_error` is the older of the two names."""
    for name in ("resource_scrape_error", "scrape_error"):
        yield from _head(
            name, "gauge", "1 if there was an error while getting container metrics, 0 otherwise"
        )
        yield f"{name} {int(bool(snapshot.trouble))}"


def _labels(pod: PodUsage) -> str:
    return f'namespace="{pod.pod.namespace}",pod="{pod.pod.name}"'


def _head(name: str, type: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {type}"


def _number(value: float) -> str:
    return str(round(value, 9)) if isinstance(value, float) else str(value)
