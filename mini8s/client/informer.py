"""Informers keep a cache true by listing once and watching from there on.

Invariant: the cache goes from one state of the server to a later one and never skips a change that a handler
would need: a broken watch resumes from the last revision seen, and when the server no longer knows that
revision everything is listed again and the handlers get the difference.

A process that must work without its server lets a `Memory` fill the cache with what was last known: such a
picture counts as synced, and the first list replaces it as any later one would. What the picture lacks may
be there all the same until the server is `heard`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import SystemRandom
from typing import Protocol

from mini8s.client.base import RETRY_SECONDS, Api, Watch
from mini8s.client.cache import Cache, IndexFunction
from mini8s.client.sharing import Shared
from mini8s.objects import meta
from mini8s.objects.errors import ApiError, Expired
from mini8s.objects.kinds import Kind, Obj
from mini8s.util.backoff import Backoff
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

Keep = Callable[[Obj], Obj]  # what of an object goes into the cache
Handler = Callable[[Obj | None, Obj | None], None]  # (old, new): None, X added; X, None deleted
_RANDOM = SystemRandom().random
WATCH_SECONDS = 300  # a watch is asked for this long and up to twice as long, so that not all end at once


class Informer:
    """One kind (or a selection of it) in a cache, with the thread that keeps it true."""

    def __init__(
        self,
        api: Api,
        kind: Kind,
        stop: Stop,
        *,
        namespace: str = "",
        fields: str = "",
        labels: str = "",
        keep: Keep | None = None,
        sharing: bool = False,
        random: Callable[[], float] = _RANDOM,
    ) -> None:
        self.kind = kind
        self.cache = Cache()
        self.synced = threading.Event()  # set once a whole picture is in the cache and with the handlers
        self.heard = False  # whether that was the server's own answer to this process
        self._api = api
        self._stop = stop
        self._namespace, self._fields, self._labels = namespace, fields, labels
        self._keep = keep
        self._slim = Shared().slim if sharing else None
        self._random = random
        self._lock = threading.RLock()  # a handler that joins sees each change once: guards list and calls
        self._handlers: list[Handler] = []
        self._waiting: list[Callable[[], None]] = []  # for the server's first answer
        self._version = ""  # where the next watch goes on; empty: list
        self._seen = 0
        self._watch: Watch | None = None
        self._backoff = Backoff(first=0.2, most=RETRY_SECONDS)
        self._said = OnChange(log)
        self._worker: Worker | None = None

    @property
    def version(self) -> int:
        """The revision up to which the cache has seen all changes; 0 before the first list."""
        return self._seen

    @property
    def following(self) -> bool:
        """Whether a watch is open, so that the cache is as the server is, but for what is under way."""
        return self._watch is not None

    @property
    def selection(self) -> str:
        """What it follows, in words that are the same in every process."""
        chosen = (self._namespace, self._fields, self._labels)
        return "?".join((self.kind.resource, *(part for part in chosen if part)))

    def prime(self, items: Iterable[Obj]) -> None:
        """Begin with what was known before this process: until the server is heard, that is how it is."""
        with self._lock:
            for obj in items:
                self._tell(self.cache.put(obj), obj)
        self.synced.set()

    def once_heard(self, call: Callable[[], None]) -> None:
        """Call when the server has been heard for the first time, at once if it has; quick, raises
        nothing."""
        with self._lock:
            if not self.heard:
                self._waiting.append(call)
                return
        call()

    def subscribe(self, handler: Handler) -> None:
        """Call `handler(old, new)` for what is there and for every change; it must be quick and not raise."""
        with self._lock:
            self._handlers.append(handler)
            for obj in self.cache.list():
                self._call(handler, None, obj)

    def start(self) -> None:
        if self._worker is None:
            self._worker = Worker(f"informer-{self.kind.plural}", self.step, self._stop).start()

    def close(self) -> None:
        """End the watch at once, after the stop was set."""
        watch = self._watch
        if watch:
            watch.close()

    def join(self, seconds: float) -> bool:
        return self._worker is None or self._worker.join(seconds)

    def step(self) -> float:
        """List if nothing is known, else watch until the watch ends; the pause before the next round."""
        try:
            if not self._version:
                self._list()
                return 0.0
            heard = self._follow()
        except Expired:
            self._version = ""
            return self._pause()
        except ApiError as error:
            self._said.say(f"{self.kind.plural}: {error}")
            return self._pause()
        # a server that ends each watch at once must not be asked in a tight loop
        return 0.0 if heard else self._pause()

    def _list(self) -> None:
        listed = self._api.list(self.kind, self._namespace, labels=self._labels, fields=self._fields)
        self._replace(listed.items, listed.resource_version)
        self._heard()
        self.synced.set()
        with self._lock:
            self.heard, waiting, self._waiting = True, self._waiting, []
        for call in waiting:
            call()

    def _follow(self) -> bool:
        """Watch until the server ends it; whether anything came."""
        self._watch = self._api.watch(
            self.kind,
            self._namespace,
            resource_version=self._version,
            labels=self._labels,
            fields=self._fields,
            timeout_seconds=WATCH_SECONDS + int(WATCH_SECONDS * self._random()),
        )
        heard = False
        try:
            if self._stop:
                self._watch.close()
            for change, obj in self._watch:
                self._apply(change, obj)
                self._heard()
                heard = True
        finally:
            self._watch = None
        return heard

    def _apply(self, change: str, obj: Obj) -> None:
        with self._lock:
            version = obj["metadata"]["resourceVersion"]
            if change == "BOOKMARK":
                self._reached(version)
            elif change == "DELETED":
                old = self.cache.remove(meta.namespace(obj), meta.name(obj))
                self._reached(version)
                self._tell(old, None)
            else:
                kept = self._kept(obj)
                old = self.cache.put(kept)
                self._reached(version)
                self._tell(old, kept)

    def _replace(self, items: Sequence[Obj], version: str) -> None:
        """Make the cache what a list said, and tell the handlers the difference."""
        with self._lock:
            present = {(meta.namespace(obj), meta.name(obj)) for obj in items}
            changes: list[tuple[Obj | None, Obj | None]] = [
                (self.cache.remove(meta.namespace(obj), meta.name(obj)), None)
                for obj in self.cache.list()
                if (meta.namespace(obj), meta.name(obj)) not in present
            ]
            changes += ((self.cache.put(kept), kept) for kept in map(self._kept, items))
            self._reached(version)
            for old, new in changes:
                self._tell(old, new)

    def _reached(self, version: str) -> None:
        """Said before the handlers are told, so that who they wake finds it true."""
        self._version = version
        self._seen = int(version)

    def _kept(self, obj: Obj) -> Obj:
        kept = self._keep(obj) if self._keep else obj
        return self._slim(kept) if self._slim else kept

    def _tell(self, old: Obj | None, new: Obj | None) -> None:
        if old and new and old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]:
            return
        if old or new:
            for handler in self._handlers:
                self._call(handler, old, new)

    def _call(self, handler: Handler, old: Obj | None, new: Obj | None) -> None:
        try:
            handler(old, new)
        except Exception:
            # the other handlers must not miss this change because one of them has a defect
            log.exception("a handler of %s failed", self.kind.plural)

    def _heard(self) -> None:
        self._backoff.succeeded()
        self._said.say(f"{self.kind.plural}: following the server")

    def _pause(self) -> float:
        return self._backoff.failed() * (0.5 + self._random())


class Memory(Protocol):
    """What a process keeps of its informers' pictures for the next one."""

    def adopt(self, informer: Informer) -> None:
        """Prime it with what is known, and keep what it sees from now on. Before it is started."""

    def release(self, informer: Informer) -> None:
        """Nobody needs this picture any more."""


class NoMemory:
    """Fulfils Memory for a process that has no need of one."""

    def adopt(self, informer: Informer) -> None:
        """It begins empty."""

    def release(self, informer: Informer) -> None:
        """Nothing was kept."""


class Informers:
    """The informers of a process, one for each selection that somebody asked for. `sharing`: what is equal in
    several objects is kept once, for who caches thousands of a kind."""

    def __init__(self, api: Api, stop: Stop, memory: Memory | None = None, *, sharing: bool = False) -> None:
        self._sharing = sharing
        self.memory = memory or NoMemory()
        self._api = api
        self._stop = stop
        self._informers: dict[tuple[str, str, str, str, Keep | None], Informer] = {}

    def of(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        fields: str = "",
        labels: str = "",
        indexers: Mapping[str, IndexFunction] | None = None,
        keep: Keep | None = None,
    ) -> Informer:
        """The shared informer of this selection. Indexers of the same name must be the same function.

        `keep` says what of each object is cached, to save memory; an informer that keeps all serves too."""
        key = (kind.resource, namespace, fields, labels, keep)
        if keep and (*key[:4], None) in self._informers:
            key = (*key[:4], None)
        if key not in self._informers:
            self._informers[key] = Informer(
                self._api,
                kind,
                self._stop,
                namespace=namespace,
                fields=fields,
                labels=labels,
                keep=keep,
                sharing=self._sharing,
            )
            self.memory.adopt(self._informers[key])
        for name, function in (indexers or {}).items():
            self._informers[key].cache.add_index(name, function)
        return self._informers[key]

    def start(self) -> None:
        """Start those that have not been started; may be called again after more were asked for."""
        for informer in self._informers.values():
            informer.start()

    def wait_synced(self, timeout: float) -> bool:
        """Whether all have listed within `timeout` seconds; earlier False when the stop comes."""
        end = time.monotonic() + timeout
        for informer in self._informers.values():
            while not informer.synced.wait(min(0.1, max(0.0, end - time.monotonic()))):
                if self._stop or time.monotonic() >= end:
                    return False
        return True

    def close(self, timeout: float = 5.0) -> bool:
        """End all watches after the stop was set; whether all threads ended."""
        for informer in self._informers.values():
            informer.close()
        end = time.monotonic() + timeout
        ended = [one.join(max(0.0, end - time.monotonic())) for one in self._informers.values()]
        return all(ended)
