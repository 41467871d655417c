"""Performs a plan's actions on one pod. What fails is held back and told; it never stops other pods."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mini8s.agent.kubelet.actions import (
    SANDBOX,
    Action,
    BeginEnd,
    CleanUp,
    CreateSandbox,
    Kill,
    RemoveContainer,
    RemoveSandbox,
    Resize,
    RunHook,
    StartContainer,
    Terminate,
    resize_of,
)
from mini8s.agent.kubelet.container_spec import sandbox_spec
from mini8s.agent.kubelet.container_status import Waiting
from mini8s.agent.kubelet.downward import Placed
from mini8s.agent.kubelet.images.images import field_path
from mini8s.agent.kubelet.isolation.isolation import Isolation
from mini8s.agent.kubelet.isolation.resources import limits, shrinks_quota
from mini8s.agent.kubelet.isolation.security import Refused
from mini8s.agent.kubelet.memory import Memory
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.kubelet.probes.hooks import Hooks
from mini8s.agent.kubelet.starting import CannotStart, Starter
from mini8s.agent.kubelet.view import Wanted
from mini8s.agent.network.base import Ips, NetworkError, PodNetwork
from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime, StartFailed
from mini8s.agent.runtime.records import Container, Sandbox
from mini8s.client.base import EventSink
from mini8s.objects.kinds import Obj
from mini8s.util.beside import Beside
from mini8s.util.clock import Clock, SteadyTime

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Task:
    """One pod in one round of its worker. `pod` is None for an orphan; `made` are containers that were made
    while their sandbox started, by name ("" for one that couldn't be)."""

    uid: str
    pod: Obj | None
    folder: PodFolder
    memory: Memory
    sandbox: Sandbox | None = None
    made: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Executor:
    runtime: Runtime
    network: PodNetwork
    starter: Starter
    hooks: Hooks
    isolation: Isolation
    events: EventSink
    clock: Clock
    time: SteadyTime
    host_addresses: Callable[[], Ips]
    allocatable: Mapping[str, str]
    data_dir: Path

    @property
    def host_ips(self) -> Ips:
        return self.host_addresses()

    def perform(self, task: Task, action: Action) -> None:
        """Raises EngineDown; every other failure ends here."""
        match action:
            case CreateSandbox():
                self._create_sandbox(task, action)
            case StartContainer():
                self._start(task, action)
            case BeginEnd(container, message):
                self._begin_end(task, container, message)
            case RunHook():
                self.hooks.begin(task.uid, task.pod, self._reached_at(task), action)
            case Resize(container, wanted):
                self._resize(task, container, wanted)
            case Terminate(container):
                task.memory.marks.asked(container.id)
                self._tried(self.runtime.terminate_container, container.id)
            case Kill(container):
                self._tried(self.runtime.kill_container, container.id)
            case RemoveContainer(container):
                self._tried(self.runtime.remove_container, container.id)
            case RemoveSandbox(sandbox_id, last):
                self._remove_sandbox(task, sandbox_id, last=last)
            case CleanUp():
                self.isolation.release(task.uid)
                task.folder.remove()

    def addresses(self, task: Task, pod: Obj) -> Ips:
        """The pod's addresses, given to its sandbox if this agent hasn't seen to that yet: an agent before it
        may have been killed in the middle. None while the network refuses."""
        if pod["spec"].get("hostNetwork"):
            return self.host_ips
        sandbox = task.sandbox
        if sandbox is None:
            return ()
        if sandbox.id not in task.memory.addresses:
            try:
                task.memory.addresses = {sandbox.id: self.network.attach(task.uid, sandbox.pid)}
            except NetworkError as error:
                self._sandbox_failed(task, pod, f"plugin type=mini8s failed (add): {error}")
                return ()
        return task.memory.addresses[sandbox.id]

    def placed(self, task: Task, pod: Obj) -> Placed:
        return Placed(pod, self.addresses(task, pod), self.host_ips, self.allocatable)

    def refresh_files(self, task: Task, pod: Obj) -> None:
        """Bring the volumes of a pod that runs up to date with what they show."""
        try:
            self.starter.prepare_volumes(self.placed(task, pod), task.folder)
        except CannotStart as error:
            log.info("volumes of %s keep their old files: %s", task.uid, error.waiting.reason)

    def _create_sandbox(self, task: Task, action: CreateSandbox) -> None:
        pod = _wanted(task)
        try:
            spec = sandbox_spec(pod, action.attempt, self.starter.cluster_domain)
            sandbox_id = self.runtime.create_sandbox(spec)
        except EngineDown:
            raise
        except (EngineError, Refused) as error:
            self._sandbox_failed(task, pod, str(error))
            return
        if self._start_sandbox(task, pod, sandbox_id, action.first) and self.addresses(task, pod):
            task.memory.release(SANDBOX)
            return
        self._remove_sandbox(task, sandbox_id, last=True)
        for made in filter(None, task.made.values()):
            self._tried(self.runtime.remove_container, made)

    def _start_sandbox(self, task: Task, pod: Obj, sandbox_id: str, first: StartContainer | None) -> bool:
        """Start it and meanwhile make its first container: a pod's start is waiting for the engine."""
        try:
            host_network = pod["spec"].get("hostNetwork")
            addresses = self.host_ips if host_network else self.network.reserve(task.uid)
        except NetworkError as error:
            self._sandbox_failed(task, pod, f"plugin type=mini8s failed (add): {error}")
            return False
        with Beside(lambda: self.runtime.start_sandbox(sandbox_id)) as start:
            if first is not None:
                placed = Placed(pod, addresses, self.host_ips, self.allocatable)
                task.made[first.wanted.name] = self._make(task, placed, sandbox_id, first)
        try:
            task.sandbox = start.result()
        except EngineDown:
            raise
        except EngineError as error:
            self._sandbox_failed(task, pod, str(error))
            return False
        return True

    def _sandbox_failed(self, task: Task, pod: Obj, message: str) -> None:
        text = f"Failed to create pod sandbox: {message}"
        self.events.event(pod, "Warning", "FailedCreatePodSandBox", text)
        task.memory.hold(SANDBOX, Waiting("ContainerCreating"), self.time.now())

    def _start(self, task: Task, action: StartContainer) -> None:
        pod, name = _wanted(task), action.wanted.name
        if task.sandbox is None or not self.addresses(task, pod):
            return
        if name in task.made:
            made = task.made.pop(name)
        else:
            made = self._make(task, self.placed(task, pod), task.sandbox.id, action)
        if made and self._held_back(task, name, lambda: self.starter.start(pod, name, made)):
            task.memory.release(name)

    def _make(self, task: Task, placed: Placed, sandbox_id: str, action: StartContainer) -> str:
        """The container's id, empty when it can't be made now."""
        made: list[str] = []
        self._held_back(
            task,
            action.wanted.name,
            lambda: made.append(self.starter.make(placed, task.folder, sandbox_id, action)),
        )
        return "".join(made)

    def _held_back(self, task: Task, name: str, step: Callable[[], None]) -> bool:
        """Do a step of a container's start. Whether it was done: else the container is held back."""
        try:
            step()
        except CannotStart as error:
            task.memory.hold(name, error.waiting, self.time.now(), error.until)
        except StartFailed as error:  # its record tells of it, and brings the back-off
            task.memory.hold(name, Waiting(error.reason, str(error)), self.time.now())
        except EngineDown:
            raise
        except (EngineError, OSError) as error:
            log.warning("cannot start %s of %s: %s", name, task.uid, error)
            task.memory.hold(name, Waiting("RunContainerError", str(error)), self.time.now())
        else:
            return True
        return False

    def _resize(self, task: Task, container: Container, wanted: Wanted) -> None:
        """The kernel of cgroup v1 wants the pod's quota never below a container's."""
        name, pod, amounts = resize_of(container.name), _wanted(task), limits(wanted.spec)
        shrinks = shrinks_quota(amounts, container.resources)
        try:
            if not shrinks:
                self.isolation.hold(pod)
            self.runtime.resize_container(container.id, amounts)
            self.isolation.hold(pod)
        except EngineDown:
            raise
        except EngineError as error:
            task.memory.hold(name, Waiting("Error", str(error)), self.time.now())
        else:
            task.memory.release(name)

    def _begin_end(self, task: Task, container: Container, message: str) -> None:
        task.memory.marks.began(container.id)
        if task.pod is not None:
            where = field_path(task.pod, container.name)
            self.events.event(task.pod, "Normal", "Killing", message, field_path=where)

    def _reached_at(self, task: Task) -> str:
        """Where the pod's ports are, also when nobody wants it any more."""
        return next(iter(self.network.addresses(task.uid) or self.host_ips))

    def _remove_sandbox(self, task: Task, sandbox_id: str, *, last: bool) -> None:
        """The address goes first: as long as the sandbox is there, an agent that was killed in between finds
        out that something is left to do."""
        if last:
            try:
                self.network.detach(task.uid)
            except NetworkError as error:
                log.warning("the address of %s is not freed yet: %s", task.uid, error)
                return
        self._tried(self.runtime.remove_sandbox, sandbox_id)
        task.sandbox = None
        if last:
            self.isolation.release(task.uid)

    def _tried(self, call: Callable[[str], None], container_id: str) -> None:
        """A refusal is worth a line in the log; the next round sees what is left and tries again."""
        try:
            call(container_id)
        except EngineDown:
            raise
        except EngineError as error:
            log.warning("%s: %s", container_id[:12], error)


def _wanted(task: Task) -> Obj:
    if task.pod is None:
        raise ValueError(f"nothing is started for a pod that nobody wants: {task.uid}")
    return task.pod
