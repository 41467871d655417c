"""Where the memory's shelves come from: what an informer sees, and what a part of the agent puts there
itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Protocol

from mini8s.agent.state.essence import SEALED, essence
from mini8s.client.informer import Informer
from mini8s.objects import meta
from mini8s.objects.kinds import Obj


class Source(Protocol):
    """One shelf as it is now. What is `sealed` never lies readable on the disk; `whole` says that what isn't
    there doesn't exist."""

    @property
    def name(self) -> str: ...

    @property
    def sealed(self) -> bool: ...

    @property
    def whole(self) -> bool: ...

    def get(self, key: str) -> Obj | None: ...

    def items(self) -> Iterable[tuple[str, Obj]]: ...


class Seen:
    """What an informer sees."""

    def __init__(self, informer: Informer) -> None:
        self.informer = informer
        self.name = informer.selection
        self.sealed = informer.kind in SEALED

    @property
    def whole(self) -> bool:
        return self.informer.synced.is_set()

    def get(self, key: str) -> Obj | None:
        obj = self.informer.cache.get(*meta.split_key(key))
        return None if obj is None else essence(self.informer.kind, obj)

    def items(self) -> Iterator[tuple[str, Obj]]:
        for obj in self.informer.cache.list():
            yield meta.key(obj), essence(self.informer.kind, obj)


class Drawer(MutableMapping[str, Obj]):
    """What a part of the agent was given and may need again, such as tokens: a table that is there after a
    start as it was before, sealed. `changed` is told the key of every change. What is in it is never changed
    in place."""

    sealed = True
    whole = True

    def __init__(self, name: str, found: dict[str, Obj], changed: Callable[[str], None]) -> None:
        self.name = name
        self._lock = threading.Lock()  # guards the table
        self._table = found
        self._changed = changed

    def __getitem__(self, key: str) -> Obj:
        with self._lock:
            return self._table[key]

    def __setitem__(self, key: str, value: Obj) -> None:
        with self._lock:
            self._table[key] = value
        self._changed(key)

    def __delitem__(self, key: str) -> None:
        with self._lock:
            del self._table[key]
        self._changed(key)

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._table))

    def __len__(self) -> int:
        with self._lock:
            return len(self._table)
