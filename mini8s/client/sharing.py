"""Equal parts of cached objects are kept once.

Ten thousand pods of one ReplicaSet differ in their names, addresses and times; labels, owners, containers and
volumes are the same, and so are the conditions of all that became ready in one second. Whatever a cache gives
out is for reading, so nobody sees who shares it with whom.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from mini8s.objects.kinds import Obj
from mini8s.wire.codec import encode_json

MOST = 256  # parts in a generation: what nobody had again for so long is forgotten
MOST_TEXTS = 4096
MOST_BYTES = 8192  # of a part: to compare larger ones costs more than it brings
_OWN = frozenset({"name", "uid", "resourceVersion"})  # no other object has such a value

Key = TypeVar("Key", bound=Hashable)


class Recent(Generic[Key]):
    """What was had lately, in two generations. For texts too: the first releases of Python 3.12 never free
    what `sys.intern` has (github.com/python/cpython/issues/113993), and times and addresses come for ever."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now: dict[Key, Any] = {}
        self._before: dict[Key, Any] = {}

    def __len__(self) -> int:
        return len(self._now) + len(self._before)

    def same(self, key: Key, value: Any) -> Any:
        """What was had under that key, else this."""
        known = self._now.get(key)
        if known is None:
            known = self._now[key] = self._before.get(key, value)
            if len(self._now) > self._most:
                self._before, self._now = self._now, {}
        return known


class Shared:
    """For one thread."""

    def __init__(self) -> None:
        self.texts: Recent[str] = Recent(MOST_TEXTS)
        self.parts: Recent[bytes] = Recent(MOST)

    def slim(self, obj: Obj) -> Obj:
        """An equal object, but for its `managedFields`: who manages what is for the server to know."""
        made: Obj = {}
        for part, value in obj.items():
            kept = self._part(value) if isinstance(value, dict) else self._one(value)
            made[self.texts.same(part, part)] = kept
        return made

    def _part(self, part: Obj) -> Obj:
        return {
            name: value if name in _OWN else self._one(value)
            for name, value in part.items()
            if name != "managedFields"
        }

    def _one(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.texts.same(value, value)
        if not isinstance(value, dict | list) or not value:
            return value
        text = encode_json(value)
        if len(text) > MOST_BYTES:
            return value
        return self.parts.same(text, value)
