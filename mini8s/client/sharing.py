"""Equal parts of cached objects are kept once.

Ten thousand pods of one ReplicaSet differ in their names, addresses and times; labels, owners, containers and
volumes are the same, and so are the conditions of all that became ready in one second. Whatever a cache gives
out is for reading, so nobody sees who shares it with whom.
"""

from __future__ import annotations

import sys
from typing import Any

from mini8s.objects.kinds import Obj
from mini8s.wire.codec import encode_json

MOST = 256  # parts in a generation: what nobody had again for so long is forgotten
MOST_BYTES = 8192  # of a part: to compare larger ones costs more than it brings
_OWN = frozenset({"name", "uid", "resourceVersion"})  # no other object has such a value


class Shared:
    """For one thread."""

    def __init__(self) -> None:
        self._recent: dict[bytes, Any] = {}
        self._before: dict[bytes, Any] = {}

    def slim(self, obj: Obj) -> Obj:
        """An equal object, but for its `managedFields`: who manages what is for the server to know."""
        made: Obj = {}
        for part, value in obj.items():
            made[sys.intern(part)] = self._part(value) if isinstance(value, dict) else self._one(value)
        return made

    def _part(self, part: Obj) -> Obj:
        return {
            name: value if name in _OWN else self._one(value)
            for name, value in part.items()
            if name != "managedFields"
        }

    def _one(self, value: Any) -> Any:
        if isinstance(value, str):
            return sys.intern(value)
        if not isinstance(value, dict | list) or not value:
            return value
        text = encode_json(value)
        if len(text) > MOST_BYTES:
            return value
        known = self._recent.get(text)
        if known is None:
            known = self._recent[text] = self._before.get(text, value)
            if len(self._recent) > MOST:
                self._before, self._recent = self._recent, {}
        return known
