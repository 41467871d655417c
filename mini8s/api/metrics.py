"""/metrics: the API's own figures in Prometheus' text form, under upstream's names.

Written by hand: prometheus_client would cost 5 MB for what is a handful of dictionaries here. Everything runs
on one thread, so nothing is locked.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mini8s.api.pump import Pump

Stats = Callable[[], Mapping[str, float]]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
_LONG = {"watch", "log", "tunnel"}
_STORE = {
    "keys": ("gauge", "Objects held."),
    "revision": ("gauge", "The newest revision."),
    "compacted": ("gauge", "The newest revision whose history is gone."),
    "watches": ("gauge", "Open watches of the store."),
    "queued": ("gauge", "Writes that wait for the disk."),
    "commits": ("counter", "Transactions written."),
    "written_bytes": ("counter", "Bytes of database pages written."),
    "file_bytes": ("gauge", "Size of the database."),
    "wal_bytes": ("gauge", "Size of its write-ahead log."),
}  # the names are the store's
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


class Metrics:
    """Counts requests; the rest is read when somebody asks."""

    def __init__(self, pump: Pump, stats: Stats) -> None:
        self._pump = pump
        self._stats = stats
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[tuple[str, str], list[int]] = {}
        self._seconds: dict[tuple[str, str], float] = {}

    def observe(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """One answered request. Of a long-running one only the count says anything."""
        key = (verb, resource, code)
        self._requests[key] = self._requests.get(key, 0) + 1
        if verb in _LONG:
            return
        series = (verb, resource)
        buckets = self._durations.get(series)
        if buckets is None:
            buckets = self._durations[series] = [0] * (len(_BOUNDS) + 1)
        buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[series] = self._seconds.get(series, 0.0) + seconds

    def text(self) -> str:
        parts = (self._request_lines(), self._duration_lines(), self._watch_lines(), self._store_lines())
        lines = [line for part in parts for line in part]
        return "\n".join([*lines, *_process_lines()]) + "\n"

    def _request_lines(self) -> Iterator[str]:
        yield from _head(
            "apiserver_request_total", "counter", "Requests answered, by verb, resource and code."
        )
        for (verb, resource, code), count in sorted(self._requests.items()):
            yield f'apiserver_request_total{{verb="{verb}",resource="{resource}",code="{code}"}} {count}'

    def _duration_lines(self) -> Iterator[str]:
        name = "apiserver_request_duration_seconds"
        yield from _head(name, "histogram", "Time from a request's headers to its answer.")
        for (verb, resource), buckets in sorted(self._durations.items()):
            labels = f'verb="{verb}",resource="{resource}"'
            total = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), buckets, strict=True):
                total += count
                yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
            yield f"{name}_sum{{{labels}}} {self._seconds[verb, resource]:.6f}"
            yield f"{name}_count{{{labels}}} {total}"

    def _watch_lines(self) -> Iterator[str]:
        name = "apiserver_longrunning_requests"
        yield from _head(name, "gauge", "Open watches, by resource.")
        for resource, count in sorted(self._pump.counts().items()):
            yield f'{name}{{verb="watch",resource="{resource}"}} {count}'
        yield from _single(
            "mini8s_watch_events_total", "counter", "Events of ended watches.", self._pump.events
        )
        yield from _single(
            "mini8s_watch_cut_off_total", "counter", "Watches ended for lagging behind.", self._pump.cut_off
        )

    def _store_lines(self) -> Iterator[str]:
        for name, value in sorted(self._stats().items()):
            kind, about = _STORE[name]
            total = "_total" if kind == "counter" else ""
            yield from _single(f"mini8s_store_{name}{total}", kind, about, value)


def _process_lines() -> Iterator[str]:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / _TICK
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  names are not wanted
    yield from _single("process_resident_memory_bytes", "gauge", "Resident memory.", resident)
    yield from _single("process_cpu_seconds_total", "counter", "Processor time.", cpu)
    yield from _single("process_open_fds", "gauge", "Open file descriptors.", descriptors)


def _single(name: str, kind: str, help: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, help)
    yield f"{name} {value}"


def _head(name: str, kind: str, help: str) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"
