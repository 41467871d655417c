"""Watching: the store's changes as one watch's selectors see them.

An object that stops matching has gone, for those who watch with that selector: they get DELETED with the last
state that matched. Without selectors nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from mini8s.objects.kinds import Kind, Obj
from mini8s.registry import paging, refusals, selection
from mini8s.registry.base import ListOptions, WatchEvent
from mini8s.registry.read import Reader
from mini8s.registry.selection import Selection
from mini8s.registry.strategy import Strategy
from mini8s.store.base import Change, Compacted, FutureRevision, Store, Subscription
from mini8s.wire.codec import decode_json, encode_json

Deliver = Callable[[Sequence[WatchEvent]], None]


class Watcher:
    def __init__(self, store: Store, strategies: Mapping[Kind, Strategy], reader: Reader) -> None:
        self._store = store
        self._strategies = strategies
        self._reader = reader
        self._batch: tuple[Sequence[Change], Sequence[WatchEvent]] = ((), ())

    def watch(self, kind: Kind, namespace: str, options: ListOptions, deliver: Deliver) -> Subscription:
        wanted = selection.parse(self._strategies[kind], options)
        since = paging.parse_revision(options.resource_version)
        if not since:
            since = self._deliver_state(kind, namespace, options, deliver)

        def changed(changes: Sequence[Change]) -> None:
            if events := _translated(changes, wanted):
                deliver(events)

        def unselected(changes: Sequence[Change]) -> None:
            deliver(self._everything(changes, wanted))

        try:
            return self._store.watch(kind.prefix(namespace), since, unselected if wanted.empty else changed)
        except Compacted as error:
            raise refusals.expired(since, error.oldest) from error
        except FutureRevision as error:
            raise refusals.too_new(since, error.newest) from error

    def _everything(self, changes: Sequence[Change], wanted: Selection) -> Sequence[WatchEvent]:
        """What a batch means to those who select nothing: the store hands one batch to all who watch the same
        prefix, one after the other, so it is translated for the first of a thousand only."""
        if changes is not self._batch[0]:
            self._batch = (changes, _translated(changes, wanted))
        return self._batch[1]

    def _deliver_state(self, kind: Kind, namespace: str, options: ListOptions, deliver: Deliver) -> int:
        """Everything there is as ADDED; the revision it was at."""
        state = ListOptions(label_selector=options.label_selector, field_selector=options.field_selector)
        listed = self._reader.list(kind, namespace, state)
        if listed.items:
            deliver([WatchEvent("ADDED", listed.revision, value) for value in listed.items])
        return listed.revision


def _translated(changes: Sequence[Change], wanted: Selection) -> list[WatchEvent]:
    return [event for change in changes if (event := translate(change, wanted))]


def translate(change: Change, wanted: Selection) -> WatchEvent | None:
    """What a change means to those who see only what they selected; None: nothing."""
    if wanted.empty:
        before, after = change.previous is not None, not change.deleted
    else:
        before = change.previous is not None and wanted.matches(_decoded(change.previous))
        after = not change.deleted and wanted.matches(_decoded(change.value))
    if after:
        return WatchEvent("MODIFIED" if before else "ADDED", change.revision, change.value)
    if not before or change.previous is None:
        return None
    value = change.value if change.deleted else _at_revision(change.previous, change.revision)
    return WatchEvent("DELETED", change.revision, value)


def _at_revision(value: bytes, revision: int) -> bytes:
    obj = _decoded(value)
    return encode_json(obj | {"metadata": obj["metadata"] | {"resourceVersion": str(revision)}})


@lru_cache(maxsize=128)
def _decoded(value: bytes) -> Obj:
    """Decoded once for all the watches that look at the same change. Nobody changes what it gives."""
    obj: Obj = decode_json(value)
    return obj
