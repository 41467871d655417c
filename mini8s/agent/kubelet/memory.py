"""What the agent knows of a pod besides the engine's records. All but the marks may be lost: a restarted
agent finds its way without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mini8s.agent.kubelet.actions import HookKey, HookState, Remembered
from mini8s.agent.kubelet.allocation import Pending
from mini8s.agent.kubelet.container_status import CRASH_LOOP, Waiting
from mini8s.agent.kubelet.marks import Marks
from mini8s.agent.kubelet.view import Doom
from mini8s.agent.network.base import Ips
from mini8s.agent.runtime.records import RunningPod
from mini8s.objects.time import parse_time
from mini8s.util.backoff import Backoff


@dataclass(slots=True)
class Hold:
    """A container (or, under the name "", the sandbox) that could not be started, and when to try again."""

    until: datetime
    waiting: Waiting
    backoff: Backoff


@dataclass(slots=True)
class Memory:
    """Times are steady ones, but for `since`, which the status tells."""

    since: datetime
    marks: Marks
    began: datetime | None = None  # when the node took the pod up
    doom: Doom | None = None  # why the node ends it
    pending: Pending | None = None  # why it doesn't get other amounts
    ended: dict[str, datetime] = field(default_factory=dict)  # container id → when it ended
    held: dict[str, Hold] = field(default_factory=dict)
    addresses: dict[str, Ips] = field(default_factory=dict)  # sandbox id → the pod's
    last_words: dict[str, str] = field(default_factory=dict)  # container id → its termination message
    said: str = ""  # the last back-off that an event told
    running: RunningPod | None = None  # what the engine had of it at the last look
    backing_off: Mapping[str, str] = field(default_factory=dict)  # container name → why it waits to restart

    @property
    def last_addresses(self) -> Ips:
        """Those it has, or had when its sandbox still ran."""
        return next(iter(self.addresses.values()), ())

    def hold(self, name: str, waiting: Waiting, now: datetime, until: datetime | None = None) -> None:
        """Not again before `until`, or before this name's own back-off is over."""
        known = self.held.get(name)
        backoff = known.backoff if known else Backoff(first=1.0, most=60.0)
        self.held[name] = Hold(until or now + timedelta(seconds=backoff.failed()), waiting, backoff)

    def release(self, name: str) -> None:
        self.held.pop(name, None)

    def retry_now(self, now: datetime) -> None:
        """What was missing may have come."""
        for hold in list(self.held.values()):
            hold.until = now

    def saw(self, running: RunningPod) -> None:
        """Note what the engine has now, and drop what was known of containers that are gone."""
        self.running = running
        present = {one.id for one in running.containers}
        self.marks.keep(present)
        self.ended = {key: when for key, when in self.ended.items() if key in present}
        for one in running.containers:
            if one.ended and one.id not in self.ended:
                self.ended[one.id] = self.marks.time.of_wall(parse_time(one.finished_at or one.created_at))

    def remembered(self, hooks: Mapping[HookKey, HookState], *, folders: bool) -> Remembered:
        held = {name: hold.until for name, hold in self.held.items()}
        return Remembered(dict(self.marks.endings), hooks, held, self.ended, folders)

    def waiting(self, backing_off: Mapping[str, str]) -> dict[str, Waiting]:
        """Why containers wait: the back-off the plan tells of, else what failed when they were to start."""
        found = {name: hold.waiting for name, hold in self.held.items()}
        return found | {name: Waiting(CRASH_LOOP, message) for name, message in backing_off.items()}
