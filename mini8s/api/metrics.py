"""/metrics: the API's own figures in Prometheus' text form, under upstream's names and labels.

Written by hand: prometheus_client would cost 5 MB for what is a handful of dictionaries here. Everything runs
on one thread, so nothing is locked.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mini8s.api.answer import Pieces
from mini8s.api.pump import Pump

Counts = Callable[[], Mapping[str, int]]
Stats = Callable[[], Mapping[str, float]]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
_LONG = frozenset({"WATCH", "CONNECT"})
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
    "snapshot_taken_seconds": ("gauge", "When the last good snapshot was taken, in seconds since 1970."),
    "snapshot_bytes": ("gauge", "Size of the last good snapshot."),
    "snapshot_failed": ("gauge", "Whether the last try failed."),
}  # the names are the store's
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


class Series(NamedTuple):
    """What sort of request it was; `scope` is resource, namespace or cluster: one object, or how many."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    scope: str = ""

    @property
    def labels(self) -> str:
        pairs = zip(self._fields, self, strict=True)
        return ",".join(f'{name}="{value}"' for name, value in pairs) + ',component="apiserver"'


class Metrics:
    """Counts requests; the rest is read when somebody asks. `objects` counts what is stored of each kind."""

    def __init__(self, pump: Pump, stats: Stats, objects: Counts = dict) -> None:
        self._pump = pump
        self._stats = stats
        self._objects = objects
        self._requests: dict[tuple[Series, int], int] = {}
        self._durations: dict[Series, list[int]] = {}
        self._seconds: dict[Series, float] = {}
        self._open: dict[Series, int] = {}
        self._inflight = {True: 0, False: 0}

    def inflight(self, *, reads: bool, more: int) -> None:
        """A request that is worked on, or (-1) is answered."""
        self._inflight[reads] += more

    def opened(self, series: Series, more: int) -> None:
        """A long-running request that begins, or (-1) ends."""
        self._open[series] = self._open.get(series, 0) + more

    def counted(self, series: Series, pieces: Pieces) -> Pieces:
        """A streamed answer, open until its last piece; it begins with an empty one (`answer.begun`)."""
        with closing(pieces):
            self.opened(series, 1)
            try:
                yield b""
                yield from pieces
            finally:
                self.opened(series, -1)

    def observe(self, series: Series, code: int, seconds: float) -> None:
        """One answered request. Of a long-running one only the count says anything."""
        key = (series, code)
        self._requests[key] = self._requests.get(key, 0) + 1
        if series.verb in _LONG:
            return
        buckets = self._durations.get(series)
        if buckets is None:
            buckets = self._durations[series] = [0] * (len(_BOUNDS) + 1)
        buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[series] = self._seconds.get(series, 0.0) + seconds

    def text(self) -> str:
        parts = (
            self._request_lines(),
            self._duration_lines(),
            self._open_lines(),
            self._object_lines(),
            self._store_lines(),
        )
        lines = [line for part in parts for line in part]
        return "\n".join([*lines, *_process_lines()]) + "\n"

    def _request_lines(self) -> Iterator[str]:
        name = "apiserver_request_total"
        yield from _head(name, "counter", "Requests answered, by what they were and by code.")
        for (series, code), count in sorted(self._requests.items()):
            yield f'{name}{{{series.labels},code="{code}"}} {count}'

    def _duration_lines(self) -> Iterator[str]:
        name = "apiserver_request_duration_seconds"
        yield from _head(name, "histogram", "Time from a request's headers to its answer.")
        for series, buckets in sorted(self._durations.items()):
            labels, total = series.labels, 0
            for bound, count in zip((*_BOUNDS, "+Inf"), buckets, strict=True):
                total += count
                yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
            yield f"{name}_sum{{{labels}}} {self._seconds[series]:.6f}"
            yield f"{name}_count{{{labels}}} {total}"

    def _open_lines(self) -> Iterator[str]:
        name = "apiserver_longrunning_requests"
        yield from _head(name, "gauge", "Open watches, logs, proxied requests and streams.")
        for series, count in sorted(self._open.items()):
            yield f"{name}{{{series.labels}}} {count}"
        name = "apiserver_current_inflight_requests"
        yield from _head(name, "gauge", "Requests that are worked on.")
        for reads, kind in ((False, "mutating"), (True, "readOnly")):
            yield f'{name}{{request_kind="{kind}"}} {self._inflight[reads]}'
        yield from _single(
            "mini8s_watch_events_total", "counter", "Events of ended watches.", self._pump.events
        )
        yield from _single(
            "mini8s_watch_cut_off_total", "counter", "Watches ended for lagging behind.", self._pump.cut_off
        )

    def _object_lines(self) -> Iterator[str]:
        name = "apiserver_storage_objects"
        yield from _head(name, "gauge", "Objects stored, by resource.")
        for resource, count in sorted(self._objects().items()):
            yield f'{name}{{resource="{resource}"}} {count}'

    def _store_lines(self) -> Iterator[str]:
        stats = self._stats()
        name = "apiserver_storage_size_bytes"
        yield from _head(name, "gauge", "Size of the database and its write-ahead log.")
        size = stats.get("file_bytes", 0) + stats.get("wal_bytes", 0)
        yield f'{name}{{storage_cluster_id="sqlite"}} {size}'
        for name, value in sorted(stats.items()):
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
