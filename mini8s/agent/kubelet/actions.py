"""What a plan may tell the executor to do, and what it is told besides the pod and what runs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mini8s.agent.kubelet.view import Wanted
from mini8s.agent.runtime.records import Container
from mini8s.objects.kinds import Obj

SANDBOX = ""  # the name under which the sandbox itself is held


def resize_of(name: str) -> str:
    """The name under which a container's resize is held."""
    return f"resize/{name}"


class Hook(StrEnum):
    """When in a container's life a hook runs; the values are the API's field names."""

    POST_START = "postStart"
    PRE_STOP = "preStop"


HookKey = tuple[str, Hook]  # the container's id, and which hook


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """The last sandbox takes the pod's address with it."""

    sandbox_id: str
    last: bool


@dataclass(frozen=True, slots=True)
class StartContainer:
    """`target` is the container whose processes an ephemeral one wants to see."""

    wanted: Wanted
    attempt: int
    backoff_seconds: int
    target: str = ""


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    """`first` is the container that is started next, and can be made while the sandbox starts."""

    attempt: int
    first: StartContainer | None = None


@dataclass(frozen=True, slots=True)
class BeginEnd:
    """The grace of a container begins now; `message` is the Killing event's."""

    container: Container
    message: str


@dataclass(frozen=True, slots=True)
class RunHook:
    """`seconds` is how long it may take, None for as long as it likes."""

    container: Container
    hook: Hook
    handler: Obj
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Resize:
    """Give it what its spec says now."""

    container: Container
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask to end."""

    container: Container


@dataclass(frozen=True, slots=True)
class Kill:
    container: Container


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    container: Container


@dataclass(frozen=True, slots=True)
class CleanUp:
    """Take the pod's volumes and folders away."""


Action = (
    CreateSandbox
    | RemoveSandbox
    | StartContainer
    | BeginEnd
    | RunHook
    | Resize
    | Terminate
    | Kill
    | RemoveContainer
    | CleanUp
)


@dataclass(frozen=True, slots=True)
class Ending:
    """A container on its way out: since when, and when it was asked to go (its preStop hook comes first)."""

    since: datetime
    asked: datetime | None = None


@dataclass(frozen=True, slots=True)
class HookState:
    """A hook that was begun: over, or until when it sleeps (None: nobody knows)."""

    over: bool
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the agent itself knows of a pod. Endings and hooks that are over are written down, and outlive it;
    the rest it may forget. Times are steady ones.

    `hooks` are those that this agent began, with the time at which one that only sleeps is over; `held` are
    container names not to be started before a time; `ended` is when containers ended, by id."""

    endings: Mapping[str, Ending] = field(default_factory=dict)
    hooks: Mapping[HookKey, HookState] = field(default_factory=dict)
    held: Mapping[str, datetime] = field(default_factory=dict)
    ended: Mapping[str, datetime] = field(default_factory=dict)
    folders: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    actions: Sequence[Action] = ()
    wake_seconds: float | None = None
    waiting: Mapping[str, str] = field(default_factory=dict)  # container name → why it isn't started again
    ended: bool = False  # nothing of the pod runs any more, nor will


class Draft:
    """A plan in the making."""

    def __init__(self, remembered: Remembered, now: datetime) -> None:
        self.remembered = remembered
        self.now = now
        self.actions: list[Action] = []
        self.waiting: dict[str, str] = {}
        self.ended = False
        self._wakes: list[float] = []

    def wake_in(self, seconds: float) -> None:
        self._wakes.append(max(0.01, seconds))

    def wake_at(self, when: datetime) -> None:
        self.wake_in((when - self.now).total_seconds())

    def finish(self) -> Plan:
        return Plan(tuple(self.actions), min(self._wakes, default=None), self.waiting, self.ended)
