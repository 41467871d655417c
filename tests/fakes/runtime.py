"""A container engine in memory. It fulfils the contract of `agent/runtime/base.py`, held to it by the same
suite as Docker, and can be told to fail; `run` says what a container's command does."""

from __future__ import annotations

import itertools
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mini8s.agent.runtime.base import (
    CreateFailed,
    EngineDown,
    EngineError,
    ImageNotPresent,
    ImagePullFailed,
    NoSuchContainer,
    Progress,
    RegistryAway,
    StartFailed,
)
from mini8s.agent.runtime.records import Container, EngineInfo, ExecResult, Image, RunningPod, Sandbox, Trace
from mini8s.agent.runtime.specs import ContainerSpec, RegistryAuth, Resources, SandboxSpec

NOWHERE = "192.0.2."  # TEST-NET-1 (RFC 5737): a registry there can't be reached
Owner = tuple[str, str, str]  # namespace, pod, uid


@dataclass
class FakeLog:
    """What was written so far; a follower waits for more until the container ends or it is closed."""

    pieces: list[bytes]
    closed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces

    def close(self) -> None:
        self.closed = True


class FakeAttached:
    """A process that the test plays itself, at `process`, the other end of its socket."""

    def __init__(self, code: int = 0) -> None:
        self.sock, self.process = socket.socketpair()
        self.begun = b""
        self.sizes: list[tuple[int, int]] = []
        self.abandoned = False
        self._code = code

    def pieces(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        if data:
            yield 1, data

    def resize(self, width: int, height: int) -> None:
        self.sizes.append((width, height))

    def exit_code(self) -> int:
        return self._code

    def abandon(self) -> None:
        self.abandoned = True

    def close(self) -> None:
        self.sock.close()


@dataclass
class FakeRuntime:
    """`down`: nothing answers. `stubborn`: containers ignore SIGTERM. `refuse_start`: by container name, the
    engine's sentence. `pullable`: images a registry has, `welcome`: who may have them, when not everybody."""

    now: Callable[[], datetime]
    down: bool = False
    stubborn: bool = False
    refuse_start: dict[str, str] = field(default_factory=dict)
    refuse_sandbox: str = ""
    refuse_resize: str = ""
    local: set[str] = field(default_factory=set)
    pullable: set[str] = field(default_factory=set)
    welcome: dict[str, set[str]] = field(default_factory=dict)
    trusted: dict[str, Mapping[str, str]] = field(default_factory=dict)
    archives: dict[str, list[str]] = field(default_factory=dict)
    exec_answer: Callable[[str, Sequence[str]], ExecResult] = lambda _id, _command: ExecResult(0, b"")
    attached: list[FakeAttached] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    specs: dict[str, ContainerSpec | SandboxSpec] = field(default_factory=dict)
    output: dict[str, list[bytes]] = field(default_factory=dict)
    _owners: dict[str, Owner] = field(default_factory=dict)
    _containers: dict[str, Container] = field(default_factory=dict)
    _sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _events: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # ---- what happens without the kubelet

    def end(self, container_id: str, code: int = 0, *, oom: bool = False) -> None:
        """The container's process ends."""
        with self._lock:
            one = self._containers[container_id]
            self._containers[container_id] = replace(
                one, state="exited", exit_code=code, oom_killed=oom, finished_at=self._time()
            )
            self._told(container_id)

    def end_sandbox(self, sandbox_id: str) -> None:
        with self._lock:
            self._sandboxes[sandbox_id] = replace(self._sandboxes[sandbox_id], running=False, pid=0)
            self._told(sandbox_id)

    def newest(self, name: str) -> Container:
        """The last attempt of the only container of this name."""
        return max(
            (one for one in self._containers.values() if one.name == name), key=lambda one: one.attempt
        )

    def count(self, verb: str) -> int:
        return sum(call[0] == verb for call in self.calls)

    # ---- the contract

    def info(self) -> EngineInfo:
        self._enter("info", "")
        return EngineInfo("docker", "20.10.24", 1)

    def pods(self) -> Mapping[str, Trace]:
        with self._lock:
            self._enter("pods", "")
            found: dict[str, set[tuple[str, str]]] = {}
            for key, one in self._containers.items():
                found.setdefault(self._owners[key][2], set()).add((key, one.state))
            for key, box in self._sandboxes.items():
                found.setdefault(self._owners[key][2], set()).add(
                    (key, "running" if box.running else "exited")
                )
            return {uid: frozenset(trace) for uid, trace in found.items()}

    def pod(self, uid: str) -> RunningPod | None:
        with self._lock:
            self._enter("pod", uid)
            owner = next((one for one in self._owners.values() if one[2] == uid), None)
            if owner is None:
                return None
            boxes = [box for key, box in self._sandboxes.items() if self._owners[key][2] == uid]
            containers = [one for key, one in self._containers.items() if self._owners[key][2] == uid]
            return RunningPod(
                owner[0], owner[1], uid,
                sorted(boxes, key=lambda box: -box.attempt),
                sorted(containers, key=lambda one: -one.attempt),
            )  # fmt: skip

    def changes(self) -> Iterator[str]:
        self._enter("changes", "")
        while (uid := self._events.get()) is not None:
            yield uid

    def create_sandbox(self, spec: SandboxSpec) -> str:
        with self._lock:
            self._enter("create_sandbox", spec.uid)
            key = f"box{next(self._numbers)}"
            box = Sandbox(key, 0, spec.attempt, False, self._time(), dict(spec.labels))
            self._sandboxes[key], self.specs[key] = box, spec
            self._owners[key] = (spec.namespace, spec.pod, spec.uid)
            self._told(key)
            return key

    def start_sandbox(self, sandbox_id: str) -> Sandbox:
        with self._lock:
            self._enter("start_sandbox", sandbox_id)
            if sandbox_id not in self._sandboxes:
                raise NoSuchContainer(f"No such container: {sandbox_id}")
            if self.refuse_sandbox:
                raise CreateFailed(self.refuse_sandbox)
            box = self._sandboxes[sandbox_id]
            self._sandboxes[sandbox_id] = replace(box, pid=1000 + box.attempt, running=True)
            self._told(sandbox_id)
            return self._sandboxes[sandbox_id]

    def remove_sandbox(self, sandbox_id: str) -> None:
        with self._lock:
            self._enter("remove_sandbox", sandbox_id)
            self._sandboxes.pop(sandbox_id, None)
            self._gone(sandbox_id)

    def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        with self._lock:
            self._enter("create_container", spec.name)
            if spec.image not in self.local:
                raise ImageNotPresent(f"No such image: {spec.image}")
            if sandbox_id not in self._sandboxes:
                raise CreateFailed(f"No such container: {sandbox_id}")
            same = self._same(spec)
            if same and same.running:
                raise CreateFailed(f"the name of {spec.name} is taken by a container that runs")
            if same:
                self._drop(same.id)
            key = f"c{next(self._numbers)}"
            self._containers[key] = Container(
                key, spec.name, spec.attempt, spec.image, f"sha256:{spec.image}", "created", self._time(),
                sandbox_id=sandbox_id, labels=dict(spec.labels), resources=replace(spec.resources, pids=0),
            )  # fmt: skip
            self.specs[key], self._owners[key] = spec, (spec.namespace, spec.pod, spec.uid)
            return key

    def start_container(self, container_id: str) -> None:
        with self._lock:
            self._enter("start_container", container_id)
            one = self._need(container_id)
            if not self._sandboxes[one.sandbox_id].running:
                raise StartFailed(f"cannot join network of a non running container: {one.sandbox_id}")
            refusal = self.refuse_start.get(one.name)
            if refusal:
                self._containers[container_id] = replace(one, error=refusal, exit_code=127)
                raise StartFailed(refusal)
            self._containers[container_id] = replace(one, state="running", started_at=self._time())
            self._told(container_id)

    def resize_container(self, container_id: str, resources: Resources) -> None:
        with self._lock:
            self._enter("resize_container", container_id)
            if self.refuse_resize:
                raise EngineError(self.refuse_resize)
            one = self._need(container_id)
            self._containers[container_id] = replace(one, resources=replace(resources, pids=0))

    def terminate_container(self, container_id: str) -> None:
        self._enter("terminate_container", container_id)
        if not self.stubborn:
            self._end_if_running(container_id, 143)

    def kill_container(self, container_id: str) -> None:
        self._enter("kill_container", container_id)
        self._end_if_running(container_id, 137)

    def remove_container(self, container_id: str) -> None:
        with self._lock:
            self._enter("remove_container", container_id)
            self._drop(container_id)

    def exec(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        self._enter("exec", container_id)
        if not self._need(container_id).running:
            raise EngineError(f"Container {container_id} is not running")
        return self.exec_answer(container_id, command)

    def open_exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> FakeAttached:
        self._enter("open_exec", container_id)
        return self._attached(container_id)

    def attach(self, container_id: str, *, stdin: bool) -> FakeAttached:
        self._enter("attach", container_id)
        return self._attached(container_id)

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
    ) -> FakeLog:
        """All that it says is said on stdout."""
        self._enter("logs", container_id)
        self._need(container_id)
        pieces = self.output.get(container_id, []) if stdout else []
        return FakeLog(pieces if tail is None else pieces[len(pieces) - min(tail, len(pieces)) :])

    def images(self) -> Sequence[Image]:
        self._enter("images", "")
        return [Image(f"sha256:{name}", [name], 1000) for name in sorted(self.local)]

    def image(self, name: str) -> Image | None:
        self._enter("image", name)
        return Image(f"sha256:{name}", [name], 1000) if name in self.local else None

    def pull(
        self,
        name: str,
        *,
        source: str = "",
        auth: RegistryAuth | None = None,
        progress: Progress | None = None,
    ) -> Image:
        asked, who = source or name, auth.username if auth else ""
        self._enter("pull", asked)
        if asked.startswith(NOWHERE):
            raise RegistryAway(f"dial tcp {asked}: no route to host")
        if asked not in self.pullable or who not in self.welcome.get(asked, {who}):
            raise ImagePullFailed(f"pull access denied for {asked}")
        self.local.add(name)
        if progress:
            progress(1000, 1000)
        return Image(f"sha256:{name}", [name], 1000)

    def remove_image(self, image: Image) -> None:
        with self._lock:
            self._enter("remove_image", image.id)
            if any(one.image in image.names for one in self._containers.values()):
                raise EngineError(f"conflict: {image.id} is being used by a container")
            self.local -= set(image.names)

    def trust(self, registry: str, files: Mapping[str, str]) -> None:
        self._enter("trust", registry)
        self.trusted[registry] = files

    def load(self, path: str, progress: Progress | None = None) -> Sequence[str]:
        self._enter("load", path)
        if path not in self.archives:
            raise EngineError(f"{path} is no image archive")
        self.local |= set(self.archives[path])
        if progress:
            progress(1000, 1000)
        return self.archives[path]

    def close(self) -> None:
        self._events.put(None)

    # ---- inside

    def _enter(self, verb: str, what: str) -> None:
        self.calls.append((verb, what))
        if self.down:
            raise EngineDown("the container engine doesn't answer")

    def _attached(self, container_id: str) -> FakeAttached:
        if not self._need(container_id).running:
            raise EngineError(f"Container {container_id} is not running")
        self.attached.append(FakeAttached())
        return self.attached[-1]

    def _need(self, container_id: str) -> Container:
        if container_id not in self._containers:
            raise NoSuchContainer(f"No such container: {container_id}")
        return self._containers[container_id]

    def _same(self, spec: ContainerSpec) -> Container | None:
        for key, one in self._containers.items():
            if (self._owners[key][2], one.name, one.attempt) == (spec.uid, spec.name, spec.attempt):
                return one
        return None

    def _drop(self, container_id: str) -> None:
        self._containers.pop(container_id, None)
        self._gone(container_id)

    def _end_if_running(self, container_id: str, code: int) -> None:
        one = self._containers.get(container_id)
        if one and one.running:
            self.end(container_id, code)

    def _told(self, key: str) -> None:
        self._events.put(self._owners[key][2])

    def _gone(self, key: str) -> None:
        owner = self._owners.pop(key, None)
        if owner:
            self._events.put(owner[2])

    def _time(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
