"""A read-only picture of one kind, with indexes: what an informer keeps and everybody reads.

What it gives out is shared by all readers: copy an object before changing it.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterable, Mapping

from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.labels import Selector

IndexFunction = Callable[[Obj], Iterable[str]]  # the values under which an object is found; none: not at all


class Cache:
    """Objects by namespace and name, and by what the index functions say."""

    def __init__(self, indexers: Mapping[str, IndexFunction] | None = None) -> None:
        self._lock = threading.Lock()  # guards the tables below; held for dictionary work only
        self._spaces: dict[str, dict[str, Obj]] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, dict[tuple[str, str], Obj]]] = {}
        for name, function in (indexers or {}).items():
            self.add_index(name, function)

    def get(self, namespace: str, name: str) -> Obj | None:
        with self._lock:
            return self._spaces.get(namespace, {}).get(name)

    def list(self, namespace: str = "", selector: Selector | None = None) -> builtins.list[Obj]:
        with self._lock:
            spaces = [self._spaces.get(namespace, {})] if namespace else builtins.list(self._spaces.values())
            found = [obj for space in spaces for obj in space.values()]
        if selector is None:
            return found
        return [obj for obj in found if selector.matches(meta.labels(obj))]

    def index(self, name: str, value: str) -> builtins.list[Obj]:
        """The objects whose index function `name` says `value`."""
        with self._lock:
            return builtins.list(self._indexes[name].get(value, {}).values())

    def __len__(self) -> int:
        with self._lock:
            return sum(len(space) for space in self._spaces.values())

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add an index over what is there and what comes. One name means one function."""
        with self._lock:
            if self._functions.setdefault(name, function) is not function:
                raise ValueError(f'the index "{name}" exists with another function')
            if name in self._indexes:
                return
            self._indexes[name] = {}
            for space in self._spaces.values():
                for obj in space.values():
                    self._enter(name, obj)

    def put(self, obj: Obj) -> Obj | None:
        """Store an object; the one that was there."""
        with self._lock:
            space = self._spaces.setdefault(meta.namespace(obj), {})
            old = space.get(meta.name(obj))
            if old is not None:
                self._leave(old)
            space[meta.name(obj)] = obj
            for name in self._indexes:
                self._enter(name, obj)
            return old

    def remove(self, namespace: str, name: str) -> Obj | None:
        """Forget an object; the one that was there."""
        with self._lock:
            space = self._spaces.get(namespace, {})
            old = space.pop(name, None)
            if old is not None:
                self._leave(old)
            if not space:
                self._spaces.pop(namespace, None)
            return old

    def _enter(self, index: str, obj: Obj) -> None:
        for value in self._functions[index](obj):
            self._indexes[index].setdefault(value, {})[_identity(obj)] = obj

    def _leave(self, obj: Obj) -> None:
        for name, index in self._indexes.items():
            for value in self._functions[name](obj):
                members = index.get(value, {})
                members.pop(_identity(obj), None)
                if not members:
                    index.pop(value, None)


def _identity(obj: Obj) -> tuple[str, str]:
    return meta.namespace(obj), meta.name(obj)
