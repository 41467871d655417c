"""PURE: what an engine tells of what it has. Nothing here is kept: it is read again whenever it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mini8s.agent.runtime.specs import Resources


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine has it now. Times are RFC 3339 with nanoseconds, empty when not yet.

    `created` with an `error` is one that could not be started; `created` without is one that nobody started.
    """

    id: str
    name: str
    attempt: int
    image: str
    image_id: str
    state: str  # created | running | exited
    created_at: str
    started_at: str = ""
    finished_at: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    sandbox_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0  # of its main process, 0 when it doesn't run
    log_path: str = ""  # the file that its output goes to, rotated ones lie beside it
    resources: Resources | None = None  # what it has now, but for `pids`; None: nobody looked

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def ended(self) -> bool:
        """It ran or was to run, and never will again."""
        return self.state == "exited" or bool(self.error)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as the engine has it; `pid` is 0 when it doesn't run."""

    id: str
    pid: int
    attempt: int
    running: bool
    created_at: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunningPod:
    """All that the engine has of one pod, newest attempts first."""

    namespace: str
    name: str
    uid: str
    sandboxes: Sequence[Sandbox] = ()
    containers: Sequence[Container] = ()

    @property
    def sandbox(self) -> Sandbox | None:
        """The newest sandbox if it runs."""
        return self.sandboxes[0] if self.sandboxes and self.sandboxes[0].running else None

    def newest(self, name: str) -> Container | None:
        """The last attempt of the container called `name`."""
        return next((one for one in self.containers if one.name == name), None)


Trace = frozenset[tuple[str, str]]  # (id, state) of each container and sandbox of a pod


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    output: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """`user` is whom its containers run as unless told otherwise: "", a name, or numbers `UID[:GID]`."""

    id: str
    names: Sequence[str]
    size_bytes: int
    user: str = ""
    pinned: bool = False  # the engine's adapter itself needs it


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a node says of its engine."""

    name: str  # docker
    version: str
    cgroup_version: int
    root: str = ""  # the folder of images, layers and logs
    cgroup_driver: str = "cgroupfs"  # or systemd: who makes control groups on this host
    apparmor: bool = False  # whether the engine confines containers by AppArmor
