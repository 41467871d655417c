"""Informers that a test fills by hand: the cache is the real one, the server is the test."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from mini8s.client.cache import Cache, IndexFunction
from mini8s.client.informer import Handler, NoMemory
from mini8s.objects import meta
from mini8s.objects.kinds import Kind, Obj


class FakeInformer:
    """One kind. `put` and `remove` are what a watch would bring."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.synced = threading.Event()
        self.heard = self.following = True
        self._handlers: list[Handler] = []

    def subscribe(self, handler: Handler) -> None:
        self._handlers.append(handler)
        for obj in self.cache.list():
            handler(None, obj)

    def put(self, obj: Obj) -> None:
        old = self.cache.put(obj)
        for handler in self._handlers:
            handler(old, obj)

    def remove(self, namespace: str, name: str) -> None:
        old = self.cache.remove(namespace, name)
        for handler in self._handlers:
            handler(old, None)


class FakeInformers:
    """In the place of `client.informer.Informers`, synced from the start unless told otherwise."""

    def __init__(self, *, synced: bool = True) -> None:
        self._informers: dict[str, FakeInformer] = {}
        self._synced = synced
        self.memory = NoMemory()

    def of(
        self, kind: Kind, *, indexers: Mapping[str, IndexFunction] | None = None, **_selection: Any
    ) -> Any:
        informer = self._informers.setdefault(kind.resource, FakeInformer())
        for name, function in (indexers or {}).items():
            informer.cache.add_index(name, function)
        if self._synced:
            informer.synced.set()
        return informer

    def put(self, kind: Kind, obj: Obj) -> None:
        self.of(kind).put(obj)

    def remove(self, kind: Kind, obj: Obj) -> None:
        self.of(kind).remove(meta.namespace(obj), meta.name(obj))
