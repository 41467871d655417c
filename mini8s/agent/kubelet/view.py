"""PURE: a pod's wishes beside what runs of it. The plan and the status judge by the same facts, so that what
is reported is what is acted upon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mini8s.agent.kubelet import notes
from mini8s.agent.runtime.records import Container, RunningPod, Sandbox
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the probes of one running container say so far; what has no probe passes."""

    started: bool = True
    ready: bool = True
    failed: str = ""  # liveness | startup: the container is to be restarted


@dataclass(frozen=True, slots=True)
class Doom:
    """The node ends a pod for good, though its containers might go on: the status will say why.
    `grace_seconds` is the most that they get; `disrupts`: not through the pod's own doing."""

    reason: str
    message: str
    grace_seconds: float | None = None
    disrupts: bool = False


class Role(Enum):
    """Which list of the spec a container stands in."""

    MAIN = "containers"
    INIT = "initContainers"
    EPHEMERAL = "ephemeralContainers"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One container of the spec. `place` is its place in its list."""

    spec: Obj
    role: Role = Role.MAIN
    hash: str = ""
    place: int = 0

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def init(self) -> bool:
        return self.role is Role.INIT

    @property
    def sidecar(self) -> bool:
        return self.init and pods.is_sidecar(self.spec)

    @property
    def post_start(self) -> Obj | None:
        handler: Obj | None = (self.spec.get("lifecycle") or {}).get("postStart")
        return handler


class Init(Enum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"  # and the pod's restart policy says never


@dataclass(frozen=True, slots=True)
class View:
    """One pod. `verdicts` are by container id; so are `hooked`, the postStart hooks that are over: "", or how
    they failed. `doom` is set when the node ends the pod."""

    pod: Obj
    running: RunningPod
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    hooked: Mapping[str, str] = field(default_factory=dict)
    doom: Doom | None = None

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.pod["spec"]
        return spec

    @property
    def policy(self) -> str:
        return str(self.spec.get("restartPolicy") or "Always")

    @property
    def containers(self) -> Sequence[Wanted]:
        return self._wanted(Role.MAIN)

    @property
    def init_containers(self) -> Sequence[Wanted]:
        return self._wanted(Role.INIT)

    @property
    def ephemeral_containers(self) -> Sequence[Wanted]:
        return self._wanted(Role.EPHEMERAL)

    @property
    def everyone(self) -> Sequence[Wanted]:
        return [*self.init_containers, *self.containers, *self.ephemeral_containers]

    @property
    def sandbox(self) -> Sandbox | None:
        return self.running.sandbox

    @property
    def host_network(self) -> bool:
        return bool(self.spec.get("hostNetwork"))

    @property
    def said_terminal(self) -> bool:
        """The API has it that this pod is at its end, and an end is never taken back."""
        return pods.is_terminal(self.pod)

    @property
    def alive(self) -> bool:
        return any(one.running for one in self.running.containers)

    def last(self, wanted: Wanted) -> Container | None:
        return self.running.newest(wanted.name)

    def current(self, wanted: Wanted) -> Container | None:
        """The last attempt, if it belongs to the sandbox that runs (or to the last one that ran)."""
        last = self.last(wanted)
        boxes = self.running.sandboxes
        return last if last and (not boxes or last.sandbox_id == boxes[0].id) else None

    def hooking(self, wanted: Wanted, container: Container) -> bool:
        """It runs, but its postStart hook isn't over: to the API it doesn't run yet."""
        return container.running and wanted.post_start is not None and container.id not in self.hooked

    def shown(self, wanted: Wanted) -> Container | None:
        """The attempt that the status tells of."""
        attempts = [one for one in self.running.containers if one.name == wanted.name]
        if attempts and self.hooking(wanted, attempts[0]):
            attempts = attempts[1:]
        return attempts[0] if attempts else None

    def verdict(self, container: Container) -> Verdict:
        return self.verdicts.get(container.id, Verdict())

    def started(self, wanted: Wanted) -> bool:
        """It runs, its postStart hook is over, and its startup probe, if it has one, has passed."""
        current = self.current(wanted)
        if current is None or not current.running or self.hooking(wanted, current):
            return False
        return not self.hooked.get(current.id) and self.verdict(current).started

    def restarts(self, wanted: Wanted, ended: Container) -> bool:
        """Whether a container that ended so is to be started again."""
        if wanted.role is Role.EPHEMERAL or self.doom or meta.deleting(self.pod):
            return False
        if wanted.sidecar:
            return True
        failed = bool(ended.error) or ended.exit_code != 0
        if wanted.init:
            return failed and self.policy != "Never"
        return self.policy == "Always" or (failed and self.policy == "OnFailure")

    def init_done(self, wanted: Wanted) -> bool:
        """It has done its work for the sandbox that runs."""
        if wanted.sidecar:
            return self.started(wanted)
        current = self.current(wanted)
        return current is not None and current.state == "exited" and current.exit_code == 0

    @property
    def init(self) -> Init:
        """Once a container of the pod proper was made, the init phase is over, whatever became of its
        records. It has failed with its container, whatever becomes of the sidecars before that one: they end
        because of it."""
        if any(self.current(wanted) for wanted in self.containers):
            return Init.DONE
        if any(map(self._init_failed, self.init_containers)):
            return Init.FAILED
        return Init.DONE if all(map(self.init_done, self.init_containers)) else Init.PENDING

    def _init_failed(self, wanted: Wanted) -> bool:
        current = self.current(wanted)
        if current is None or not current.ended or self.init_done(wanted):
            return False
        return not self.restarts(wanted, current)

    @property
    def finished(self) -> bool:
        """Nothing of the pod proper runs, nor is to be started again: sidecars have nobody left to serve."""
        if self.said_terminal or self.doom or self.init is Init.FAILED:
            return True
        return self.init is Init.DONE and all(map(self._is_through, self.containers))

    def _is_through(self, wanted: Wanted) -> bool:
        last = self.last(wanted)
        return last is not None and last.ended and not self.restarts(wanted, last)

    def _wanted(self, role: Role) -> Sequence[Wanted]:
        found = self.spec.get(role.value) or ()
        return [Wanted(one, role, notes.spec_hash(one), place) for place, one in enumerate(found)]


def succeeded(ended: Container) -> bool:
    return not ended.error and ended.exit_code == 0


def identity(pod: Obj) -> str:
    """The pod as the kubelet's messages name it."""
    return f"{meta.name(pod)}_{meta.namespace(pod)}({meta.uid(pod)})"
