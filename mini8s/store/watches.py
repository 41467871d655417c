"""Who watches what: each batch of changes goes to those who asked for its prefixes, in order of revision.

Those who watch the same prefix share one selection of a batch, so that a thousand watches of pods cost one.
The store calls this with its delivery lock held; a deliver may itself watch or close.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from mini8s.store.base import Change

log = logging.getLogger(__name__)

Deliver = Callable[[Sequence[Change]], None]


class Watch:
    """One subscription. The lock makes `close` final: no call of deliver is under way when it returns, except
    the one that closes."""

    __slots__ = ("_guard", "_watches", "deliver", "open", "prefix")

    def __init__(
        self, watches: Watches, prefix: str, deliver: Deliver, guard: AbstractContextManager[object]
    ) -> None:
        self.prefix = prefix
        self.deliver = deliver
        self.open = True
        self._watches = watches
        self._guard = guard

    def close(self) -> None:
        with self._guard:
            self.open = False
            self._watches.remove(self)


class Watches:
    def __init__(self) -> None:
        self._by_prefix: dict[str, list[Watch]] = {}

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._by_prefix.values())

    def add(self, watch: Watch) -> None:
        self._by_prefix.setdefault(watch.prefix, []).append(watch)

    def remove(self, watch: Watch) -> None:
        """Safe to repeat."""
        others = [other for other in self._by_prefix.get(watch.prefix, ()) if other is not watch]
        if others:
            self._by_prefix[watch.prefix] = others
        else:
            self._by_prefix.pop(watch.prefix, None)

    def dispatch(self, changes: Sequence[Change]) -> None:
        # A copy: who begins to watch from inside a deliver has caught up with this batch already.
        audience = [(prefix, tuple(watches)) for prefix, watches in self._by_prefix.items()]
        for prefix, watches in audience:
            chosen = [change for change in changes if change.key.startswith(prefix)]
            if chosen:
                self._deliver(watches, chosen)

    def _deliver(self, watches: Sequence[Watch], changes: Sequence[Change]) -> None:
        for watch in watches:
            if not watch.open:
                continue
            try:
                watch.deliver(changes)
            except Exception:
                log.exception("a watch of %s failed and was closed", watch.prefix)
                watch.close()
