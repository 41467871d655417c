"""PURE: what an engine is asked for: sandboxes, containers, and what is in a container's reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


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
class RegistryAuth:
    """Who asks a registry: a user with a password, or the bearer of an identity token."""

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
