"""What the kubelet needs of a container engine; `docker` fulfils it, tests/fakes/runtime.py does without an
engine.

The engine is the only record of what runs: a pod's identity is in its containers' names and labels, so that
an agent which starts again reads the whole picture back and touches nothing that is still wanted. No call
waits for a container to end: ending is a signal now and another one later, which the plan decides.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the host shown inside a container."""

    source: str
    target: str
    read_only: bool = False
    propagation: str = ""  # rslave | rshared; empty is private


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits as the kernel takes them; 0 means not set. Shares are cgroup v1 CPU shares."""

    cpu_shares: int = 0
    cpu_quota_us: int = 0  # per 100 ms
    memory_bytes: int = 0
    pids: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A device node of the host inside a container; `permissions` of r(ead), w(rite), m(knod)."""

    source: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Confinement:
    """What the kernel's security modules keep a container from. Empty is the engine's own default.

    `seccomp` is "unconfined" or a profile's JSON, `apparmor` "unconfined" or the name of a loaded profile,
    `selinux` a label's parts (`level:s0:c1`). `unmasked` shows all of /proc and /sys.
    """

    seccomp: str = ""
    apparmor: str = ""
    selinux: Sequence[str] = ()
    unmasked: bool = False


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Which of the host's namespaces a pod uses, and whether its containers share one process tree. `pid_of`
    is the container whose process tree one that looks into it shares."""

    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    shared_pid: bool = False
    pid_of: str = ""


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What holds a pod's namespaces: made first, ended last."""

    namespace: str
    pod: str
    uid: str
    attempt: int
    hostname: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespaces: Namespaces = Namespaces()
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container that joins a sandbox. Ids are numeric; empty means what the image says.

    `namespace`, `pod` and `uid` say whose it is; `labels` are the kubelet's own notes and come back as they
    were.
    """

    namespace: str
    pod: str
    uid: str
    name: str
    attempt: int
    image: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Sequence[tuple[str, str]] = ()
    working_dir: str = ""
    mounts: Sequence[Mount] = ()
    resources: Resources = Resources()
    namespaces: Namespaces = Namespaces()
    user: str = ""
    groups: Sequence[str] = ()
    privileged: bool = False
    read_only_root: bool = False
    capabilities_add: Sequence[str] = ()
    capabilities_drop: Sequence[str] = ()
    no_new_privileges: bool = False
    confinement: Confinement = Confinement()
    devices: Sequence[Device] = ()
    runtime: str = ""  # the engine's name of what runs it (nvidia, runsc); empty: its default
    cgroup_parent: str = ""  # what the pod's limits are set on; empty: the engine's own
    oom_score_adj: int = 0
    log_bytes: int = 10 << 20  # before a new file is begun
    log_files: int = 5  # kept, the current one among them
    stop_signal: str = ""  # what asks it to end (SIGQUIT); empty: what the image says, else SIGTERM
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False  # its input ends with the first who attached
    labels: Mapping[str, str] = field(default_factory=dict)


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
class RegistryAuth:
    """Who asks a registry: a user with a password, or the bearer of an identity token."""

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a node says of its engine."""

    name: str  # docker
    version: str
    cgroup_version: int
    root: str = ""  # the folder of images, layers and logs
    cgroup_driver: str = "cgroupfs"  # or systemd: who makes control groups on this host
    apparmor: bool = False  # whether the engine confines containers by AppArmor


class EngineError(Exception):
    """The root of what an engine's adapter raises; `reason` is Kubernetes' word for it (ErrImagePull,
    RunContainerError …)."""

    reason = "RunContainerError"


class EngineDown(EngineError):
    """The engine doesn't answer: nothing is known, so nothing may be concluded."""

    reason = "ContainerRuntimeNotReady"


class ImageNotPresent(EngineError):
    reason = "ErrImageNeverPull"


class ImagePullFailed(EngineError):
    reason = "ErrImagePull"


class RegistryAway(ImagePullFailed):
    """It could not be reached, so it has not said no."""


class CreateFailed(EngineError):
    reason = "CreateContainerError"


class StartFailed(EngineError):
    reason = "RunContainerError"


class NoSuchContainer(EngineError):
    """It is gone already; for a removal that is success."""

    reason = "ContainerNotFound"


class Attached(Protocol):
    """A process's ends on one socket: what is written to it is the process's input, and its output can be
    read there. It belongs to one thread."""

    @property
    def sock(self) -> socket.socket: ...

    @property
    def begun(self) -> bytes:
        """What was read of the socket already."""

    def pieces(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """What was read of the socket, as pieces of stdout (1) and stderr (2)."""

    def resize(self, width: int, height: int) -> None:
        """The client's terminal has that size now. Without a terminal nothing happens."""

    def exit_code(self) -> int:
        """Of a process that has ended, or is about to. Raises EngineError."""

    def abandon(self) -> None:
        """Nobody listens any more: a process that was started for this is killed."""

    def close(self) -> None: ...


class LogStream(Protocol):
    """A container's output, piece by piece. `close` may be called by another thread and ends the
    iteration."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Runtime(Protocol):
    """Every call may raise EngineDown. Calls block, threads may share the runtime."""

    def info(self) -> EngineInfo: ...

    def pods(self) -> Mapping[str, Trace]:
        """UID and trace of every pod of which anything is here. Cheap: two traces differ when something
        happened."""

    def pod(self, uid: str) -> RunningPod | None:
        """Everything of one pod, or None when nothing of it is here."""

    def changes(self) -> Iterator[str]:
        """UIDs of pods of which a container or sandbox changed, as it happens; ends when the engine's stream
        ends or the runtime is closed."""

    def create_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """Create and start. The network namespace is empty but for lo; plumbing is the network's."""

    def remove_sandbox(self, sandbox_id: str) -> None:
        """End it if it runs, and remove it. What is gone already is no error."""

    def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        """Create without starting; the new container's id. A leftover of the same name that doesn't run
        gives way. Raises ImageNotPresent, CreateFailed."""

    def start_container(self, container_id: str) -> None:
        """Raises StartFailed (command not found, mount refused …); the container then stays as a record."""

    def resize_container(self, container_id: str, resources: Resources) -> None:
        """Give a container that runs other amounts of cpu and memory; what is 0 stays as it is. Raises
        EngineError."""

    def terminate_container(self, container_id: str) -> None:
        """Send SIGTERM, or the stop signal that the image asks for. One that has ended is no error."""

    def kill_container(self, container_id: str) -> None:
        """Send SIGKILL. One that has ended is no error."""

    def remove_container(self, container_id: str) -> None:
        """What is gone already is no error."""

    def exec(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        """Run a command and take what it prints (at most 10 KiB). Raises TimeoutError."""

    def open_exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> Attached:
        """Start a command whose ends are the caller's. A command that can't be found is no error here: it
        says so itself and ends with 126 or 127."""

    def attach(self, container_id: str, *, stdin: bool) -> Attached:
        """The ends of the container's own process, from now on."""

    def logs(
        self,
        container_id: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float = 0.0,
        timestamps: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> LogStream:
        """The container's output, stdout and stderr merged in order of time; `since` is Unix time. A line has
        one timestamp, however long it is. Raises NoSuchContainer."""

    def images(self) -> Sequence[Image]: ...

    def image(self, name: str) -> Image | None: ...

    def pull(self, name: str, *, source: str = "", auth: RegistryAuth | None = None) -> Image:
        """Fetch an image; from a mirror when `source` is another name for it. Raises ImagePullFailed,
        RegistryAway."""

    def trust(self, registry: str, files: Mapping[str, str]) -> None:
        """Have a registry's certificates known: `ca.crt`, `client.cert`, `client.key`, each a file of the
        host. Raises OSError."""

    def remove_image(self, image: Image) -> None:
        """Under all its names. What is gone already is no error. Raises EngineError when a container has
        it."""

    def load(self, path: str) -> Sequence[str]:
        """Load an image archive (docker save's format); the names it brought. Raises EngineError when it is
        none."""

    def close(self) -> None:
        """End the streams that `changes` and `logs` hold open."""
