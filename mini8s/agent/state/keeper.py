"""The agent's memory: the last world it was told, on its own disk, so that a host that starts without its
server brings everything back.

It is what the informers saw, and drawers for what else a node is given, a shelf for each. Handlers only note
what changed; a thread of its own writes down how it is by then, seconds later and all at once, so that a
pod's start is one write and not six. What is lost when the power goes in those seconds comes late, and does
no harm: that something is not here is no reason to end it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mini8s.agent.state.base import Vault, VaultError
from mini8s.agent.state.journal import Entry, Journal
from mini8s.agent.state.ledger import Ledger, Place, Shelf
from mini8s.agent.state.sources import Drawer, Seen, Source
from mini8s.client.informer import Informer
from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.util.backoff import Backoff
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

GATHER_SECONDS = 2.0  # what belongs together comes within this: a pod, its Secrets, its first statuses
PAUSE_SECONDS = 10.0  # between two writes: at most 360 an hour, however much goes on
MOST_PAUSE_SECONDS = 300.0  # between two tries on a disk that refuses
SETTLE_SECONDS = 600.0  # by then every pod that the server wants has asked for what it needs


class State:
    """Fulfils client.informer.Memory. `load` comes first, then informers, then `start`."""

    def __init__(self, folder: Path, vault: Vault, stop: Stop) -> None:
        self._ledger = Ledger(Journal(folder), vault)
        self._stop = stop
        self._lock = threading.Lock()  # guards the five below
        self._unasked: dict[str, Shelf] = {}  # as they were read
        self._sources: dict[str, Source] = {}
        self._informers: dict[str, Informer] = {}
        self._changed: set[Place] = set()
        self._marks: list[Entry] = []  # what is to be said of whole shelves
        self._wake = threading.Event()
        self._backoff = Backoff(first=PAUSE_SECONDS, most=MOST_PAUSE_SECONDS)
        self._said = OnChange(log)
        self._worker = Worker("state", self.step, stop)
        self._began = 0.0
        self._first: list[Informer] = []  # those that every agent has

    def load(self) -> None:
        """Read what an earlier run wrote."""
        self._unasked = self._ledger.read()
        count = sum(len(shelf.objects) for shelf in self._unasked.values())
        if count:
            log.info("%d objects are known from before", count)

    def adopt(self, informer: Informer) -> None:
        name = informer.selection
        with self._lock:
            self._sources[name], self._informers[name] = Seen(informer), informer
            known = self._unasked.pop(name, None)
        informer.subscribe(lambda old, new: self._note(name, meta.key(new or old or {})))
        informer.once_heard(lambda: self._mark("listed", name))
        if known and known.listed:
            informer.prime(known.objects.values())

    def release(self, informer: Informer) -> None:
        with self._lock:
            if self._informers.get(informer.selection) is not informer:
                return  # another pod came, and another informer follows the same
            del self._informers[informer.selection], self._sources[informer.selection]
        self._mark("dropped", informer.selection)

    def drawer(self, name: str) -> Drawer:
        """The table of that name, with what was put there in earlier runs. Asked for once."""
        with self._lock:
            known = self._unasked.pop(name, None) or Shelf()
            found = Drawer(name, known.objects, lambda key: self._note(name, key))
            self._sources[name] = found
        return found

    def start(self) -> None:
        self._began = time.monotonic()
        self._first = list(self._informers.values())
        self._worker.start()

    def stop(self) -> None:
        """Write what is not written yet."""
        self._stop.set()
        self._wake.set()
        if not self._began or self._worker.join(5.0):
            self.flush()

    def step(self) -> float:
        """Wait for changes, gather them, write; the pause before the next round."""
        self._wake.wait(SETTLE_SECONDS if self._unasked else None)
        if self._unasked and time.monotonic() - self._began >= SETTLE_SECONDS:
            self._forget_unasked()
        self._stop.wait(GATHER_SECONDS)
        return self.flush()

    def flush(self) -> float:
        """Write what changed; seconds until the next write may be."""
        self._wake.clear()
        with self._lock:
            changed, self._changed = self._changed, set()
            marks, self._marks = self._marks, []
        try:
            self._ledger.commit(self._entries(changed, marks), self._everything)
        except (OSError, VaultError) as error:
            with self._lock:
                self._changed |= changed
                self._marks = marks + self._marks
            self._wake.set()
            self._said.say(f"what this node was told can't be written down: {error}")
            return self._backoff.failed()
        self._backoff.succeeded()
        self._said.say("what this node was told is on its disk")
        return PAUSE_SECONDS

    def _note(self, shelf: str, key: str) -> None:
        with self._lock:
            self._changed.add((shelf, key))
        self._wake.set()

    def _mark(self, verb: str, shelf: str) -> None:
        with self._lock:
            self._marks.append(Entry(verb, shelf))
        self._wake.set()

    def _entries(self, changed: set[Place], marks: list[Entry]) -> Iterator[Entry]:
        """How things are now that changed; a shelf counts as listed when all on it is written."""
        with self._lock:
            sources = dict(self._sources)
        yield from (mark for mark in marks if mark.verb == "dropped" and mark.shelf not in sources)
        listed = [mark for mark in marks if mark.verb == "listed" and mark.shelf in sources]
        for mark in listed:
            changed = changed | {(mark.shelf, key) for key in self._ledger.keys(mark.shelf)}
        for shelf, key in changed:
            if shelf in sources:
                obj = sources[shelf].get(key)
                yield Entry("gone", shelf, key) if obj is None else _put(sources[shelf], key, obj)
        yield from listed

    def _everything(self) -> Iterator[Entry]:
        """All that is known."""
        with self._lock:
            unasked, sources = list(self._unasked.items()), list(self._sources.values())
        for name, shelf in unasked:
            verb = "sealed" if shelf.sealed else "put"
            yield from (Entry(verb, name, key, obj) for key, obj in shelf.objects.items())
            if shelf.listed:
                yield Entry("listed", name)
        for source in sources:
            yield from (_put(source, key, obj) for key, obj in source.items())
            if source.whole:
                yield Entry("listed", source.name)

    def _forget_unasked(self) -> None:
        """Shelves of pods that went while no agent ran: once the server was heard on all that is followed,
        and every pod has had its time to ask."""
        with self._lock:
            if all(informer.heard for informer in self._first):
                self._marks += [Entry("dropped", shelf) for shelf in self._unasked]
                self._unasked = {}


def _put(source: Source, key: str, obj: Obj) -> Entry:
    return Entry("sealed" if source.sealed else "put", source.name, key, obj)
