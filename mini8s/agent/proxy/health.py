"""The health check node ports: where a load balancer asks whether this host has endpoints of a Service that
keeps its clients' addresses. The answers are kube-proxy's, word for word, because load balancers parse them.

One thread serves all ports without blocking; an answer is one write, and who asks slowly is cut off.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mini8s.agent.network.family import IPV4, Family
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

TURN_SECONDS = 1.0  # how soon who is slow is cut off, and a port that was taken is tried again
PATIENCE_SECONDS = 5.0  # for a request's head
MOST_WAITING = 256  # clients at once
_HEAD_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Check:
    """A Service's state on this host."""

    namespace: str
    name: str
    endpoints: int


def answer(check: Check, *, healthy: bool) -> bytes:
    """The whole response: 200 while this host has endpoints and its proxy works, else 503."""
    body = {
        "service": {"namespace": check.namespace, "name": check.name},
        "localEndpoints": check.endpoints,
        "serviceProxyHealthy": healthy,
    }
    text = json.dumps(body, indent="\t").encode()
    status = b"200 OK" if check.endpoints and healthy else b"503 Service Unavailable"
    head = (
        b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        b"X-Load-Balancing-Endpoint-Weight: %d\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    )
    return head % (status, check.endpoints, len(text)) + text


@dataclass(slots=True)
class _Client:
    """Who asks: at which port, until when it may take, and what it has said so far."""

    port: int
    until: float
    head: bytes = b""


class HealthChecks:
    """Listens on the ports it is given, from the first one on. `healthy`: whether the proxy programs."""

    def __init__(self, stop: Stop, healthy: Callable[[], bool], family: Family = IPV4) -> None:
        self._stop = stop
        self._healthy, self._family = healthy, family
        self._lock = threading.Lock()  # guards what is wanted
        self._wanted: dict[int, Check] = {}
        self._listeners: dict[int, socket.socket] = {}
        self._failed: set[int] = set()
        self._waiting: dict[socket.socket, _Client] = {}
        self._worker: Worker | None = None

    def set(self, checks: Mapping[int, Check]) -> None:
        with self._lock:
            self._wanted = dict(checks)
        if checks and self._worker is None:
            self._selector = selectors.DefaultSelector()
            self._bell, self._ear = socket.socketpair()
            self._ear.setblocking(False)
            self._selector.register(self._ear, selectors.EVENT_READ, self._hear)
            self._worker = Worker("health-checks", self.step, self._stop).start()
        elif self._worker:
            self._bell.send(b".")

    def stop(self) -> None:
        """After the stop was set."""
        if self._worker is None:
            return
        with contextlib.suppress(OSError):
            self._bell.send(b".")
        if self._worker.join(2 * TURN_SECONDS):
            for one in (*self._listeners.values(), *self._waiting, self._bell, self._ear):
                one.close()
            self._selector.close()

    def step(self) -> float | None:
        """One turn: listen where it is wanted, answer who asks."""
        self._listen()
        idle = not self._waiting and not self._failed
        for key, _ in self._selector.select(None if idle else TURN_SECONDS):
            key.data()
        self._cut_off(time.monotonic())
        return None

    def _listen(self) -> None:
        with self._lock:
            wanted = set(self._wanted)
        for port in self._listeners.keys() - wanted:
            self._selector.unregister(self._listeners[port])
            self._listeners.pop(port).close()
        self._failed &= wanted
        for port in wanted - self._listeners.keys():
            try:
                # of IPv6 alone when it is that: the other family has listeners of its own
                number = socket.AddressFamily(self._family.number)
                listener = socket.create_server((self._family.any, port), family=number, backlog=64)
            except OSError as error:
                if port not in self._failed:
                    log.warning("health check node port %d can't be listened on: %s", port, error.strerror)
                self._failed.add(port)
                continue
            self._failed.discard(port)
            listener.setblocking(False)
            self._listeners[port] = listener
            take = functools.partial(self._accept, listener, port)
            self._selector.register(listener, selectors.EVENT_READ, take)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(4096)

    def _accept(self, listener: socket.socket, port: int) -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            if len(self._waiting) >= MOST_WAITING:
                client.close()
                return
            client.setblocking(False)
            self._waiting[client] = _Client(port, time.monotonic() + PATIENCE_SECONDS)
            self._selector.register(client, selectors.EVENT_READ, functools.partial(self._answer, client))

    def _answer(self, client: socket.socket) -> None:
        """When the head's end is there; whatever is asked, the answer is the same."""
        asking = self._waiting[client]
        try:
            data = client.recv(_HEAD_BYTES)  # what stays unread would wake the selector again and again
            asking.head += data
            if data and b"\r\n\r\n" not in asking.head and len(asking.head) < _HEAD_BYTES:
                return
            with self._lock:
                check = self._wanted.get(asking.port)
            if data and check:
                client.send(answer(check, healthy=self._healthy()))
        except OSError as error:
            log.debug("a health check went away: %s", error)
        self._drop(client)

    def _cut_off(self, now: float) -> None:
        for client in [one for one, asking in self._waiting.items() if asking.until < now]:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        del self._waiting[client]
        self._selector.unregister(client)
        client.close()
