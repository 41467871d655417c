"""What pods and the host use, read when somebody asks and at no other time.

A rate needs two looks. The last one is kept: who asks within a minute of it gets the rate since then; who
comes later, or asks about a container that is new, waits half a second for a second look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from mini8s.agent.kubelet.usage import cgroup
from mini8s.agent.kubelet.usage.cgroup import Reading
from mini8s.agent.kubelet.usage.host_usage import (
    HostReading,
    Interface,
    default_interface,
    host_reading,
    interfaces,
)
from mini8s.agent.runtime.records import Container, RunningPod
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

SHORT_SECONDS = 0.5  # at least between two looks; one that is younger is the answer
RECENT_SECONDS = 60.0  # a rate over longer is history
NODE = ""  # the host's own place among the containers
_GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Rate:
    """Nanoseconds of processor time a second, over so many seconds."""

    nanocores: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    container: Container
    reading: Reading
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class PodUsage:
    """`containers` are those that run; `sandbox` is what holds the pod's namespaces."""

    pod: RunningPod
    containers: tuple[ContainerUsage, ...]
    sandbox: Reading | None = None
    network: tuple[Interface, ...] = ()

    @property
    def reading(self) -> Reading:
        own = [self.sandbox] if self.sandbox else []
        return cgroup.together([one.reading for one in self.containers] + own)

    @property
    def rate(self) -> Rate | None:
        """None while a container has none."""
        rates = [one.rate for one in self.containers if one.rate]
        if not rates or len(rates) < len(self.containers):
            return None
        return Rate(sum(rate.nanocores for rate in rates), min(rate.seconds for rate in rates))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at everything. `trouble` says what could not be read."""

    now: datetime
    at: float  # monotonic
    host: HostReading
    pods: tuple[PodUsage, ...] = ()
    rate: Rate | None = None
    network: tuple[Interface, ...] = ()
    default: str = ""  # name of the interface towards other hosts
    trouble: str = ""

    def counters(self) -> dict[str, int]:
        """Processor time by container id, the host's under NODE."""
        running = (one for pod in self.pods for one in pod.containers)
        return {NODE: self.host.cpu_ns} | {one.container.id: one.reading.cpu_ns for one in running}


@dataclass(frozen=True, slots=True)
class Counted:
    """Counters at a time, monotonic."""

    at: float
    counters: Mapping[str, int] = field(default_factory=dict)


class Usage:
    """`pods` are those of which anything is here; `pause` waits, or returns at once when all is to end."""

    def __init__(
        self,
        pods: Callable[[], Iterable[RunningPod]],
        clock: Clock,
        pause: Callable[[float], object],
        *,
        cgroups: Path = Path("/sys/fs/cgroup"),
        proc: Path = Path("/proc"),
    ) -> None:
        self._pods = pods
        self._clock = clock
        self._pause = pause
        self._cgroups = cgroups
        self._proc = proc
        self._lock = threading.Lock()  # guards the last look: two that ask at once get the same
        self._last: Snapshot | None = None

    def now(self) -> Snapshot:
        """Everything, with rates. Raises OSError when the host itself can't be read."""
        with self._lock:
            last = self._last
            if last is not None and self._clock.monotonic() - last.at < SHORT_SECONDS:
                return last
            looked = self._look()
            before = Counted(last.at, last.counters()) if last else Counted(looked.at)
            if looked.at - before.at > RECENT_SECONDS or looked.counters().keys() - before.counters.keys():
                before = Counted(looked.at, looked.counters())
                self._pause(SHORT_SECONDS)
                looked = self._look()
            self._last = rated(before, looked)
            return self._last

    def _look(self) -> Snapshot:
        host = host_reading(*(self._text(self._proc / name) for name in ("stat", "meminfo", "vmstat")))
        pods, troubles = [], []
        for pod in self._pods():
            try:
                pods.append(self._pod(pod))
            except (OSError, ValueError, KeyError) as error:
                troubles.append(f"{pod.namespace}/{pod.name}: {error!r}")
        if troubles:
            log.warning("usage of %d pods can't be read, the first: %s", len(troubles), troubles[0])
        return Snapshot(
            now=self._clock.now(),
            at=self._clock.monotonic(),
            host=host,
            pods=tuple(pods),
            network=tuple(interfaces(self._text(self._proc / "self/net/dev"))),
            default=default_interface(self._text(self._proc / "self/net/route")),
            trouble="; ".join(troubles),
        )

    def _pod(self, pod: RunningPod) -> PodUsage:
        running = [(one, self._reading(one.id, one.pid)) for one in pod.containers if one.running]
        box = pod.sandbox
        return PodUsage(
            pod,
            tuple(ContainerUsage(one, reading) for one, reading in running if reading),
            self._reading(box.id, box.pid) if box else None,
            self._network(box.pid) if box else (),
        )

    def _reading(self, id: str, pid: int) -> Reading | None:
        """None when it has ended meanwhile."""
        places = cgroup.files(self._if_there(self._proc / str(pid) / "cgroup"), id)
        texts = {part: self._if_there(self._cgroups / place) for part, place in (places or {}).items()}
        return cgroup.reading(texts) if texts.get("memory.usage") and texts["memory.stat"] else None

    def _network(self, pid: int) -> tuple[Interface, ...]:
        return tuple(interfaces(self._if_there(self._proc / str(pid) / "net/dev")))

    def _if_there(self, path: Path) -> str:
        """Empty when the process or its group has ended, or when the kernel counts no such thing."""
        try:
            return self._text(path)
        except _GONE:
            return ""

    @staticmethod
    def _text(path: Path) -> str:
        with path.open() as file:
            return file.read()


def rated(before: Counted, looked: Snapshot) -> Snapshot:
    """The look with the rates since `before`."""
    seconds = looked.at - before.at

    def rate(id: str, cpu_ns: int) -> Rate | None:
        known = before.counters.get(id)
        if known is None or seconds <= 0:
            return None
        return Rate(round(max(0, cpu_ns - known) / seconds), seconds)

    pods = [
        replace(
            pod,
            containers=tuple(
                replace(one, rate=rate(one.container.id, one.reading.cpu_ns)) for one in pod.containers
            ),
        )
        for pod in looked.pods
    ]
    return replace(looked, pods=tuple(pods), rate=rate(NODE, looked.host.cpu_ns))
