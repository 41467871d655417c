"""Whom to ask what the cluster doesn't know, and what to make of their answers.

Servers are asked in their order, one that stayed silent last for a while. Who asks what is being asked
already, waits for the same answer: however many clients repeat a question, a server hears it once. A host
whose resolv.conf leads back here would make queries circle: one that comes in while it is out is such a
circle.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from dnslib import RCODE

from mini8s.agent.dns.cache import Cache
from mini8s.agent.dns.custom import Server
from mini8s.agent.dns.query import name_end
from mini8s.agent.dns.upstream import Upstreams
from mini8s.util.log import OnChange

log = logging.getLogger(__name__)

TRIES = 2  # servers asked for one question
SILENT_SECONDS = 10.0  # for which a server that didn't answer is asked last
QUESTIONS = 1000  # different ones on their way at once; more are a failure at once
WAITING = 100  # who waits for the same answer besides the first

Then = Callable[[bytes | None], None]
ServersOf = Callable[[str], Sequence[Server]]


class Forwarder:
    """Threads may share it. `servers` says whom to ask about a name now."""

    def __init__(
        self,
        servers: ServersOf,
        upstreams: Upstreams,
        count: Counter[str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = servers
        self._upstreams = upstreams
        self._monotonic = monotonic
        self._count = count
        self._cache = Cache(monotonic)
        self._lock = threading.Lock()  # guards the two tables
        self._asking: dict[bytes, list[tuple[bytes, Then]]] = {}  # who waits, by question
        self._silent: dict[Server, float] = {}  # until when
        self._said = OnChange(log)

    def circles(self, query: bytes) -> bool:
        """Whether this query is one of our own that came back."""
        return self._upstreams.is_out(query)

    def forget(self) -> None:
        """Whom to ask has changed: what others said counts no more."""
        self._cache.clear()

    def ask(self, query: bytes, name: str, then: Then, *, stream: bool = False) -> None:
        """`then` gets the answer to a query with one question, as if it had been to this very query; None
        when no server gave one. With `stream` the caller waits."""
        key = _key(query, stream=stream)
        answer = self._cache.get(key)
        if answer is not None:
            self._count["cached"] += 1
            then(_as_answer_to(query, answer))
            return
        with self._lock:
            waiting = self._asking.get(key)
            if len(self._asking) >= QUESTIONS or (waiting and len(waiting) > WAITING):
                self._count["refused"] += 1
                waiting, refused = None, True
            elif waiting is not None and not stream:
                waiting.append((query, then))
                return
            else:
                self._asking.setdefault(key, []).append((query, then))
                refused = False
        if refused:
            then(None)
            return
        self._count["forwarded"] += 1
        servers = self._order(name)
        if stream:
            self._finish(key, self._wait(servers, query))
        else:
            self._next(key, query, servers, None)

    def _next(self, key: bytes, query: bytes, servers: list[Server], last: bytes | None) -> None:
        """Ask the next server; the first good answer counts, else the last bad one: a server that fails or
        refuses may be alone in it."""
        if not servers:
            self._finish(key, last)
            return
        server, *others = servers

        def done(result: bytes | OSError) -> None:
            if isinstance(result, OSError):
                self._failed(server, result)
                self._next(key, query, others, last)
            elif _is_good(result):
                self._finish(key, result)
            else:
                self._next(key, query, others, result)

        self._upstreams.ask(server, query, done)

    def _wait(self, servers: list[Server], query: bytes) -> bytes | None:
        last = None
        for server in servers:
            try:
                answer = self._upstreams.ask_stream(server, query)
            except OSError as error:
                self._failed(server, error)
                continue
            if _is_good(answer):
                return answer
            last = answer
        return last

    def _failed(self, server: Server, error: OSError) -> None:
        self._count["upstream_failures"] += 1
        self._said.say(f"name server {server[0]}: {error}")
        with self._lock:
            self._silent[server] = self._monotonic() + SILENT_SECONDS

    def _order(self, name: str) -> list[Server]:
        """Servers in their order, those that were silent lately last; two at most."""
        now = self._monotonic()
        with self._lock:
            self._silent = {server: until for server, until in self._silent.items() if until > now}
            return sorted(self._servers(name), key=lambda server: server in self._silent)[:TRIES]

    def _finish(self, key: bytes, answer: bytes | None) -> None:
        if answer is not None:
            self._cache.put(key, answer)
        with self._lock:
            waiting = self._asking.pop(key, [])
        for query, then in waiting:
            then(None if answer is None else _as_answer_to(query, answer))


def _key(query: bytes, *, stream: bool) -> bytes:
    """All of a query that its answer depends on: not the id, nor how the name is written."""
    end = name_end(query)
    return bytes((stream,)) + query[2:12] + query[12:end].lower() + query[end:]


def _as_answer_to(query: bytes, answer: bytes) -> bytes:
    """Under the query's id, with its question as it was written (which is as long)."""
    end = name_end(query)
    return query[:2] + answer[2:12] + query[12:end] + answer[end:]


def _is_good(answer: bytes) -> bool:
    return answer[3] & 15 not in (RCODE.SERVFAIL, RCODE.REFUSED, RCODE.NOTIMP, RCODE.FORMERR)
