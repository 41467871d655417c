"""Requests that have had their time go: those that nobody decided on after a day, all others an hour after
the decision, and when the certificate has ended (`cleaner/cleaner.go`)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta

from mini8s.controllers.actions import NOTHING, Plan, delete
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects.kinds import SIGNINGREQUESTS, Obj
from mini8s.objects.time import parse_time
from mini8s.wire import pkcs10

PENDING = timedelta(hours=24)
DECIDED = timedelta(hours=1)


class Cleaner:
    name = "csrcleaner"

    def __init__(self, context: Context) -> None:
        self._requests = context.cache(SIGNINGREQUESTS)
        self._clock = context.clock
        self.sources = (Source(SIGNINGREQUESTS, by_object(own_key)),)

    def plan(self, key: str) -> Plan:
        csr = self._requests.get("", key)
        return plan(csr, self._clock.now()) if csr else NOTHING


def plan(csr: Obj, now: datetime) -> Plan:
    end = min(_ends(csr), default=None)
    if end is None:
        return NOTHING
    if end > now:
        return Plan(again_after=(end - now).total_seconds())
    return Plan((delete(SIGNINGREQUESTS, csr),), said="it has had its time")


def _ends(csr: Obj) -> Iterator[datetime]:
    status = csr.get("status") or {}
    certificate, conditions = status.get("certificate"), status.get("conditions") or ()
    if not conditions:
        yield parse_time(csr["metadata"]["creationTimestamp"]) + PENDING
    for condition in conditions:
        since = condition.get("lastUpdateTime")
        if since and (condition["type"] in {"Denied", "Failed"} or certificate):
            yield parse_time(since) + DECIDED
    if certificate:
        try:
            yield pkcs10.ends(base64.b64decode(certificate))
        except ValueError:  # what the API does not take, so it is an older release's
            return
