"""What the kubelet needs of a container engine; `docker` fulfils it, tests/fakes/runtime.py does without an
engine.

The engine is the only record of what runs: a pod's identity is in its containers' names and labels, so that
an agent which starts again reads the whole picture back and touches nothing that is still wanted. No call
waits for a container to end: ending is a signal now and another one later, which the plan decides.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from mini8s.agent.runtime.records import EngineInfo, ExecResult, Image, RunningPod, Sandbox, Trace
from mini8s.agent.runtime.specs import ContainerSpec, RegistryAuth, Resources, SandboxSpec

Progress = Callable[[int, int], None]  # bytes done, and of how many; the latter may grow


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
        """UIDs of pods of which a container or sandbox ended or went, as it happens; ends when the engine's
        stream ends or the runtime is closed."""

    def create_sandbox(self, spec: SandboxSpec) -> str:
        """Create without starting; the new sandbox's id. From now on containers may be created for it."""

    def start_sandbox(self, sandbox_id: str) -> Sandbox:
        """From now on containers may be started in it. The network namespace is empty but for lo; plumbing is
        the network's. Raises CreateFailed."""

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

    def pull(
        self,
        name: str,
        *,
        source: str = "",
        auth: RegistryAuth | None = None,
        progress: Progress | None = None,
    ) -> Image:
        """Fetch an image; from a mirror when `source` is another name for it. Raises ImagePullFailed,
        RegistryAway."""

    def trust(self, registry: str, files: Mapping[str, str]) -> None:
        """Have a registry's certificates known: `ca.crt`, `client.cert`, `client.key`, each a file of the
        host. Raises OSError."""

    def remove_image(self, image: Image) -> None:
        """Under all its names. What is gone already is no error. Raises EngineError when a container has
        it."""

    def load(self, path: str, progress: Progress | None = None) -> Sequence[str]:
        """Load an image archive (docker save's format); the names it brought. Raises EngineError when it is
        none."""

    def close(self) -> None:
        """End the streams that `changes` and `logs` hold open."""
