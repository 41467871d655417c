"""Leases: who holds something, proven by compare-and-swap on a coordination.k8s.io Lease.

A node's heartbeat is a lease that only the node renews; leader election is one that several try to take. A
lease has run out when its renewal was not seen to change for its duration on our own clock: the holder's
clock is never compared with ours.
"""

from __future__ import annotations

import contextlib
import copy

from mini8s.client.base import Api
from mini8s.objects.errors import AlreadyExists, Conflict, NotFound
from mini8s.objects.kinds import LEASES, Obj
from mini8s.objects.time import format_micro
from mini8s.util.clock import Clock


class Lease:
    """One holder's view of one lease. `owners` are the owner references it is created with."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        name: str,
        holder: str,
        clock: Clock,
        *,
        seconds: int = 40,
        owners: tuple[Obj, ...] = (),
    ) -> None:
        self.holder = holder
        self._api = api
        self._namespace, self._name = namespace, name
        self._clock = clock
        self._seconds = seconds
        self._owners = owners
        self._seen: Obj | None = None  # as the server last had it
        self._renewal = ("", "")  # its holder and time of renewal as last seen
        self._seen_at = 0.0  # when those last changed, on our clock

    def hold(self) -> bool:
        """Renew the lease if it is ours, take it if it is free or has run out; whether it is ours now.

        Raises what the API raises, but for lost races, which are an answer."""
        try:
            if self._seen is not None and self._ours(self._seen):
                return self._renew(self._seen)
            return self._look()
        except (Conflict, NotFound):
            return self._retry()

    def release(self) -> None:
        """Give the lease up so that another need not wait for it to run out."""
        if self._seen is None or not self._ours(self._seen):
            return
        free = copy.deepcopy(self._seen)
        free["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        with contextlib.suppress(Conflict, NotFound):  # then somebody else has it already
            self._api.update(LEASES, free)
        self._seen = None

    def _retry(self) -> bool:
        """Somebody else wrote it, or it was deleted: look once more."""
        self._seen = None
        try:
            return self._look()
        except (Conflict, NotFound):
            return False

    def _look(self) -> bool:
        try:
            lease = self._api.get(LEASES, self._namespace, self._name)
        except NotFound:
            return self._create()
        self._note(lease)
        free = self._ours(lease) or not _holder(lease) or self._run_out(lease)
        return free and self._renew(lease)

    def _run_out(self, lease: Obj) -> bool:
        duration = float(lease["spec"].get("leaseDurationSeconds") or 0)
        return self._clock.monotonic() >= self._seen_at + duration

    def _note(self, lease: Obj) -> None:
        renewal = (_holder(lease), lease["spec"].get("renewTime") or "")
        if renewal != self._renewal:
            self._renewal = renewal
            self._seen_at = self._clock.monotonic()
        self._seen = lease

    def _create(self) -> bool:
        now = format_micro(self._clock.now())
        metadata: Obj = {"namespace": self._namespace, "name": self._name}
        if self._owners:
            metadata["ownerReferences"] = list(self._owners)
        spec = self._spec(now) | {"acquireTime": now, "leaseTransitions": 0}
        lease = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        try:
            self._note(self._api.create(LEASES, lease))
        except AlreadyExists:
            return False  # another was first; the next call judges its lease
        return True

    def _renew(self, lease: Obj) -> bool:
        now = format_micro(self._clock.now())
        spec = lease["spec"] | self._spec(now)
        if not self._ours(lease):
            spec |= {"leaseTransitions": (spec.get("leaseTransitions") or 0) + 1, "acquireTime": now}
        self._note(self._api.update(LEASES, lease | {"spec": spec}))
        return True

    def _spec(self, now: str) -> Obj:
        return {"holderIdentity": self.holder, "leaseDurationSeconds": self._seconds, "renewTime": now}

    def _ours(self, lease: Obj) -> bool:
        return _holder(lease) == self.holder


def _holder(lease: Obj) -> str:
    return str(lease["spec"].get("holderIdentity") or "")
