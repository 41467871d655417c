"""The pods of all hosts, for as long as there are policies to judge them by.

A host has no business with other hosts' pods, and the server shows them to it only while there is a
NetworkPolicy. Of each pod little is kept (`model.lean`), on the host's disk too.
"""

from __future__ import annotations

from mini8s.agent.policy.model import lean
from mini8s.client.base import Api
from mini8s.client.informer import Handler, Informer, Memory
from mini8s.objects.kinds import PODS, Obj
from mini8s.util.workers import Stop


class Peers:
    """One thread at a time. `changed` is called for each pod that comes, changes or goes."""

    def __init__(self, api: Api, memory: Memory, changed: Handler) -> None:
        self._api, self._memory, self._changed = api, memory, changed
        self._informer: Informer | None = None
        self._stop = Stop()

    @property
    def synced(self) -> bool:
        return self._informer is not None and self._informer.synced.is_set()

    def list(self) -> list[Obj]:
        return self._informer.cache.list() if self._informer else []

    def open(self) -> None:
        """Follow them, if that isn't done yet."""
        if self._informer is None:
            self._stop = Stop()
            self._informer = Informer(self._api, PODS, self._stop, keep=lean)
            self._memory.adopt(self._informer)
            self._informer.subscribe(self._changed)
            self._informer.start()

    def close(self, *, forget: bool) -> None:
        """Follow them no longer; `forget`: nor know them after a start."""
        informer, self._informer = self._informer, None
        if informer is None:
            return
        self._stop.set()
        informer.close()
        if forget:
            self._memory.release(informer)
