"""Events about objects, as `kubectl describe` shows them.

Nothing waits for an event: they go through a bounded queue to a thread of their own, and what cannot be kept
or sent is dropped with a word in the log. Who may wait for a server that is away keeps its events until it is
back, as many as the queue holds. Equal events become one object whose count rises, and an object
that keeps complaining is limited to a burst and then one event every few minutes (client-go's figures).
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from mini8s.client.base import RETRY_SECONDS, Api
from mini8s.objects import meta
from mini8s.objects.errors import ApiError, NotFound, ServiceUnavailable
from mini8s.objects.kinds import EVENTS, Obj
from mini8s.objects.time import format_time
from mini8s.util.backoff import Backoff
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

QUEUE = 1000  # events that may wait for the server
TOGETHER = 64  # of them in a request, when they come faster than they go
REMEMBERED = 1024  # events and objects whose counts are remembered
BURST = 25.0  # events an object may have at once
REFILL_SECONDS = 300.0  # ...and one more after each of these

Identity = tuple[str, ...]
Key = TypeVar("Key")
Value = TypeVar("Value")
_TICK = itertools.count()


@dataclass(slots=True)
class _Bucket:
    tokens: float = BURST
    filled: float = 0.0


@dataclass(slots=True)
class _Sent:
    """An event object as it is on the server."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One call of `event`, taken at once so that the thread needs nothing else."""

    about: Obj  # an ObjectReference
    type: str
    reason: str
    message: str
    component: str
    when: datetime

    @property
    def identity(self) -> Identity:
        about = self.about
        return (about["uid"], about["kind"], about["namespace"], about["name"], about.get("fieldPath", ""),
                self.type, self.reason, self.message, self.component)  # fmt: skip


class Recorder:
    """See `client.base.EventSink`. `component` and `host` say who saw it. `wait` sleeps so many seconds
    before a server that is away is tried again, and says whether to give up; without it an event that can't
    be sent at once is lost."""

    def __init__(
        self,
        api: Api,
        component: str,
        host: str,
        clock: Clock,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._api = api
        self._component, self._host = component, host
        self._clock = clock
        self._queue: queue.Queue[Occurrence] = queue.Queue(QUEUE)
        self._lock = threading.Lock()  # guards the start of the thread and the count of what was dropped
        self._thread: threading.Thread | None = None
        self._dropped = 0
        self._wait = wait
        self._pause = Backoff(first=0.2, most=RETRY_SECONDS)
        self._lost = 0  # in a row; only the thread counts
        self._sent: OrderedDict[Identity, _Sent] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def event(
        self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "", component: str = ""
    ) -> None:
        about, by, now = _reference(obj, field_path), component or self._component, self._clock.now()
        happened = Occurrence(about, type, reason, message, by, now)
        try:
            self._queue.put_nowait(happened)
        except queue.Full:
            self._drop()
        self._start()

    def flush(self, timeout: float) -> bool:
        """Wait until what was said so far has been sent or dropped; whether it was in time."""
        end = time.monotonic() + timeout
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._queue.all_tasks_done.wait(left)
        return True

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            batch = self._next()
            try:
                self._handle(batch)
            except Exception:
                log.exception("an event was lost")
            finally:
                for _ in batch:
                    self._queue.task_done()

    def _next(self) -> list[Occurrence]:
        """What waits, as much as goes in one request."""
        batch = [self._queue.get()]
        with contextlib.suppress(queue.Empty):
            while len(batch) < TOGETHER:
                batch.append(self._queue.get_nowait())
        return batch

    def _handle(self, batch: Sequence[Occurrence]) -> None:
        allowed = [happened for happened in batch if self._allowed(happened)]
        new = {one.identity: one for one in reversed(allowed) if one.identity not in self._sent}
        first = [one for one in allowed if new.get(one.identity) is one]
        outcomes = self._api.together([partial(self._create, one) for one in first]) if first else ()
        for happened, outcome in zip(first, outcomes, strict=True):
            refused = outcome if isinstance(outcome, ApiError) else None
            if not isinstance(outcome, ApiError):
                _remember(self._sent, happened.identity, _Sent(meta.name(outcome), 1))
            self._insist(happened, refused)
        for happened in allowed:
            if new.get(happened.identity) is not happened:
                self._insist(happened, self._tried(happened))

    def _insist(self, happened: Occurrence, error: ApiError | None) -> None:
        """Try again what did not go for a reason that passes."""
        while error is not None:
            away = isinstance(error, ServiceUnavailable)
            if not away or self._wait is None or self._wait(self._pause.failed()):
                self._lose(happened, error)
                return
            error = self._tried(happened)
        self._lost = 0
        self._pause.succeeded()

    def _create(self, happened: Occurrence, api: Api) -> Obj:
        return api.create(EVENTS, self._new(happened))

    def _tried(self, happened: Occurrence) -> ApiError | None:
        """Send it; what went wrong."""
        try:
            self._send(happened)
        except ApiError as error:
            return error
        return None

    def _send(self, happened: Occurrence) -> None:
        sent = self._sent.get(happened.identity)
        if sent is None or not self._again(happened, sent):
            sent = self._first(happened)
        _remember(self._sent, happened.identity, sent)

    def _first(self, happened: Occurrence) -> _Sent:
        return _Sent(meta.name(self._create(happened, self._api)), 1)

    def _again(self, happened: Occurrence, sent: _Sent) -> bool:
        """Count one more; whether the event object is still there."""
        patch = {"count": sent.count + 1, "lastTimestamp": format_time(happened.when)}
        try:
            self._api.patch(EVENTS, happened.about["namespace"] or "default", sent.name, patch)
        except NotFound:
            return False
        sent.count += 1
        return True

    def _new(self, happened: Occurrence) -> Obj:
        about, when = happened.about, format_time(happened.when)
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "namespace": about["namespace"] or "default",
                "name": f"{about['name']}.{_nanoseconds(happened.when):x}",
            },
            "involvedObject": {key: value for key, value in about.items() if value},
            "type": happened.type,
            "reason": happened.reason,
            "message": happened.message,
            "source": {"component": happened.component} | ({"host": self._host} if self._host else {}),
            "firstTimestamp": when,
            "lastTimestamp": when,
            "count": 1,
            "eventTime": None,
            "reportingComponent": happened.component,
            "reportingInstance": self._host,
        }

    def _allowed(self, happened: Occurrence) -> bool:
        key = "/".join((happened.about["kind"], happened.about["namespace"], happened.about["name"]))
        bucket = self._buckets.pop(key, None) or _Bucket(filled=self._clock.monotonic())
        now = self._clock.monotonic()
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.filled) / REFILL_SECONDS)
        bucket.filled = now
        allowed = bucket.tokens >= 1
        bucket.tokens -= 1 if allowed else 0
        _remember(self._buckets, key, bucket)
        if not allowed:
            log.debug("too many events for %s: %s not sent", key, happened.reason)
        return allowed

    def _drop(self) -> None:
        with self._lock:
            self._dropped += 1
            dropped = self._dropped
        if _is_power_of_two(dropped):
            log.warning("%d events dropped: the server does not take them fast enough", dropped)

    def _lose(self, happened: Occurrence, error: ApiError) -> None:
        self._lost += 1
        if _is_power_of_two(self._lost):
            said = "" if self._lost == 1 else f", the {self._lost}th in a row"
            log.warning("event %s for %s lost%s: %s", happened.reason, happened.about["name"], said, error)


def _is_power_of_two(count: int) -> bool:
    """1, 2, 4, 8 …: worth a word, so that it is said, but not once an event."""
    return count & (count - 1) == 0


def _reference(obj: Obj, field_path: str) -> Obj:
    return {
        "kind": obj.get("kind", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "namespace": meta.namespace(obj),
        "name": meta.name(obj),
        "uid": meta.uid(obj),
        "resourceVersion": (obj.get("metadata") or {}).get("resourceVersion", ""),
        "fieldPath": field_path,
    }


def _nanoseconds(when: datetime) -> int:
    """Upstream names events by nanoseconds; several in one microsecond are told apart by a counter."""
    return int(when.timestamp()) * 10**9 + when.microsecond * 1000 + next(_TICK) % 1000


def _remember(table: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > REMEMBERED:
        table.popitem(last=False)
