"""PURE: a pod's wishes beside what runs of it. The plan and the status judge by the same facts, so that what
is reported is what is acted upon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mini8s.agent.kubelet import notes
from mini8s.agent.runtime.base import Container, RunningPod, Sandbox
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the probes of one running container say so far; what has no probe passes."""

    started: bool = True
    ready: bool = True
    failed: str = ""  # liveness | startup: the container is to be restarted


@dataclass(frozen=True, slots=True)
class Wanted:
    """One container of the spec."""

    spec: Obj
    init: bool = False
    hash: str = ""

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def sidecar(self) -> bool:
        return self.init and pods.is_sidecar(self.spec)


class Init(Enum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"  # and the pod's restart policy says never


@dataclass(frozen=True, slots=True)
class View:
    """One pod. `verdicts` are by container id."""

    pod: Obj
    running: RunningPod
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.pod["spec"]
        return spec

    @property
    def policy(self) -> str:
        return str(self.spec.get("restartPolicy") or "Always")

    @property
    def containers(self) -> Sequence[Wanted]:
        return [Wanted(one, hash=notes.spec_hash(one)) for one in self.spec.get("containers") or ()]

    @property
    def init_containers(self) -> Sequence[Wanted]:
        found = self.spec.get("initContainers") or ()
        return [Wanted(one, init=True, hash=notes.spec_hash(one)) for one in found]

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

    def last(self, wanted: Wanted) -> Container | None:
        return self.running.newest(wanted.name)

    def current(self, wanted: Wanted) -> Container | None:
        """The last attempt, if it belongs to the sandbox that runs (or to the last one that ran)."""
        last = self.last(wanted)
        boxes = self.running.sandboxes
        return last if last and (not boxes or last.sandbox_id == boxes[0].id) else None

    def verdict(self, container: Container) -> Verdict:
        return self.verdicts.get(container.id, Verdict())

    def started(self, wanted: Wanted) -> bool:
        """It runs, and its startup probe, if it has one, has passed."""
        current = self.current(wanted)
        return current is not None and current.running and self.verdict(current).started

    def restarts(self, wanted: Wanted, ended: Container) -> bool:
        """Whether a container that ended so is to be started again."""
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
        records."""
        if any(self.current(wanted) for wanted in self.containers):
            return Init.DONE
        for wanted in self.init_containers:
            if self.init_done(wanted):
                continue
            current = self.current(wanted)
            if current and current.ended and not self.restarts(wanted, current):
                return Init.FAILED
            return Init.PENDING
        return Init.DONE

    def phase(self, *, at_end: bool = False) -> str:
        """`at_end`: nothing of the pod will be started again, because it is deleted."""
        if self.said_terminal:
            return pods.phase(self.pod)
        init = self.init
        if init is Init.FAILED:
            return "Failed"
        ended = [last for last in map(self.last, self.containers) if last and last.ended]
        running = [last for last in map(self.last, self.containers) if last and last.running]
        if at_end:
            good = len(ended) == len(self.containers) and all(map(succeeded, ended))
            return "Succeeded" if good else "Failed"
        if init is Init.PENDING and not (ended or running):
            return "Pending"
        if len(ended) + len(running) < len(self.containers):
            return "Pending"
        return "Running" if running else self._end(ended)

    @property
    def finished(self) -> bool:
        """It came to its own end: nothing runs and nothing is to be started again."""
        return self.phase() in {"Succeeded", "Failed"}

    def _end(self, ended: Sequence[Container]) -> str:
        if self.policy == "Always":
            return "Running"
        if all(map(succeeded, ended)):
            return "Succeeded"
        return "Failed" if self.policy == "Never" else "Running"


def succeeded(ended: Container) -> bool:
    return not ended.error and ended.exit_code == 0


def identity(pod: Obj) -> str:
    """The pod as the kubelet's messages name it."""
    return f"{meta.name(pod)}_{meta.namespace(pod)}({meta.uid(pod)})"
