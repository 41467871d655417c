"""What the kubelet needs of a container engine; `docker` fulfils it, tests/fakes/runtime.py does without an
engine.

The engine is the only record of what runs: a pod's identity is in its containers' names and labels, so that
an agent which starts again reads the whole picture back from `pods()` and touches nothing that is still
wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the host shown inside a container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits as the kernel takes them; 0 means not set. Shares are cgroup v1 CPU shares."""

    cpu_shares: int = 0
    cpu_quota_us: int = 0  # per 100 ms
    memory_bytes: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What holds a pod's namespaces: made first, ended last."""

    namespace: str
    pod: str
    uid: str
    attempt: int
    hostname: str
    labels: Mapping[str, str] = field(default_factory=dict)
    dns_servers: Sequence[str] = ()
    dns_searches: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    host_network: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container that joins a sandbox. Times are seconds, ids numeric; empty means what the image says."""

    name: str
    attempt: int
    image: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Sequence[tuple[str, str]] = ()
    working_dir: str = ""
    mounts: Sequence[Mount] = ()
    resources: Resources = Resources()
    user: str = ""
    groups: Sequence[str] = ()
    privileged: bool = False
    read_only_root: bool = False
    capabilities_add: Sequence[str] = ()
    capabilities_drop: Sequence[str] = ()
    no_new_privileges: bool = False
    tty: bool = False
    stdin: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine has it now. Times are RFC 3339 with nanoseconds, empty when not yet."""

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
    labels: Mapping[str, str] = field(default_factory=dict)


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
    sandboxes: Sequence[Sandbox]
    containers: Sequence[Container]


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    output: bytes


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    names: Sequence[str]
    size_bytes: int


class EngineError(Exception):
    """The root of what an engine's adapter raises; `reason` is Kubernetes' word for it (ErrImagePull,
    RunContainerError …)."""

    reason = "RunContainerError"
    retry = True


class EngineDown(EngineError):
    """The engine doesn't answer: nothing is known, so nothing may be concluded."""

    reason = "ContainerRuntimeNotReady"


class ImageNotPresent(EngineError):
    reason = "ErrImageNeverPull"


class ImagePullFailed(EngineError):
    reason = "ErrImagePull"


class CreateFailed(EngineError):
    reason = "CreateContainerError"


class StartFailed(EngineError):
    reason = "RunContainerError"


class NoSuchContainer(EngineError):
    """It is gone already; for a removal that is success."""

    reason = "ContainerNotFound"


class Runtime(Protocol):
    """Every call may raise EngineDown. Calls block, threads may share the runtime."""

    def version(self) -> str: ...

    def pods(self) -> Sequence[RunningPod]:
        """Everything that carries our labels."""

    def pod(self, uid: str) -> RunningPod | None: ...

    def changes(self) -> Iterator[str]:
        """UIDs of pods of which a container or sandbox changed, as it happens; ends when the engine's stream
        ends."""

    def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """Create and start. The network namespace is empty but for lo; plumbing is the network's."""

    def stop_sandbox(self, sandbox_id: str) -> None: ...

    def remove_sandbox(self, sandbox_id: str) -> None: ...

    def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        """Create without starting; the new container's id. Raises ImageNotPresent, CreateFailed."""

    def start_container(self, container_id: str) -> None:
        """Raises StartFailed (command not found, mount refused …)."""

    def stop_container(self, container_id: str, grace_seconds: int) -> None:
        """SIGTERM (or the image's stop signal), after the grace SIGKILL; returns when it has ended."""

    def remove_container(self, container_id: str) -> None: ...

    def exec(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        """Run a command and take what it prints (at most 10 KiB). Raises TimeoutError."""

    def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: str = "",
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """The container's output in pieces that end at line ends, stdout and stderr merged in order of
        time."""

    def images(self) -> Sequence[Image]: ...

    def image(self, name: str) -> Image | None: ...

    def pull(self, name: str) -> Image:
        """Raises ImagePullFailed."""

    def load(self, path: str) -> Sequence[str]:
        """Load an image archive (docker save's format); the names it brought."""
