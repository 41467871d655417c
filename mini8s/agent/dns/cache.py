"""Answers of other servers, for as long as they say that they hold: those that deny too (RFC 2308)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dnslib import QTYPE, RCODE, DNSRecord

from mini8s.agent.dns.answer import parse

ENTRIES = 4096
LONGEST = 4096  # bytes of an answer that is kept: with all of that size the cache has 16 MB
SECONDS = 30  # most that an answer is kept: CoreDNS has it so in k3s
FAILURE_SECONDS = 2  # for which a failure is repeated to whoever asks again: RFC 2308 allows 5 minutes


class Cache:
    """Threads may share it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards the table
        self._table: dict[bytes, tuple[float, float, bytes]] = {}  # asked, valid until, answer; by question

    def get(self, key: bytes) -> bytes | None:
        now = self._monotonic()
        with self._lock:
            asked, until, answer = self._table.get(key, (0.0, 0.0, b""))
        return aged(answer, int(now - asked)) if now < until else None

    def put(self, key: bytes, answer: bytes) -> None:
        seconds = lifetime(answer)
        if not seconds or len(answer) > LONGEST:
            return
        now = self._monotonic()
        with self._lock:
            self._table.pop(key, None)
            while len(self._table) >= ENTRIES:
                self._table.pop(next(iter(self._table)))  # the oldest
            self._table[key] = (now, now + seconds, answer)

    def clear(self) -> None:
        with self._lock:
            self._table.clear()


def lifetime(answer: bytes) -> int:
    """For how many seconds an answer may be given again; 0 for one that is cut short or can't be read."""
    record = parse(answer)
    if record is None or record.header.tc:
        return 0
    if record.header.rcode in (RCODE.SERVFAIL, RCODE.REFUSED):
        return FAILURE_SECONDS
    if record.header.rcode not in (RCODE.NOERROR, RCODE.NXDOMAIN):
        return 0
    lives = [one.ttl for one in record.rr]
    if record.header.rcode == RCODE.NXDOMAIN or not lives:
        denials = [min(one.ttl, one.rdata.times[4]) for one in record.auth if one.rtype == QTYPE.SOA]
        if not denials:
            return 0  # RFC 2308, 5: without an SOA a denial is not kept
        lives += denials
    return int(min(SECONDS, *lives, SECONDS))


def aged(answer: bytes, seconds: int) -> bytes:
    """The answer as it is after so many seconds in the cache."""
    if not seconds:
        return answer
    record = DNSRecord.parse(answer)
    for one in [*record.rr, *record.auth, *(one for one in record.ar if one.rtype != QTYPE.OPT)]:
        one.ttl = max(0, one.ttl - seconds)
    return bytes(record.pack())
