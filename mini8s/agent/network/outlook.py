"""Which other hosts a host can count on while nobody tells it.

A server takes a host out of service when it has not heard of it for 40 s, and with it the endpoints on it. A
host that is cut off, or whose server is, hears of no such thing: it would go on sending each client to pods
that nobody reaches. So when the server has not taken this host's own sign of life for as long, it asks the
other hosts themselves, and those that don't answer are `silent`. As soon as the server is back its word
counts alone, and nothing is asked any more.

What a Service makes of it is the proxy's; one that has no other endpoint keeps those on silent hosts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Set

from mini8s.agent.network import echo, plan
from mini8s.client.informer import Informers
from mini8s.objects.kinds import NODES
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

ALONE_SECONDS = 40.0  # the server's own patience with a node (node-monitor-grace-period)
EVERY_SECONDS = 5.0  # how often other hosts are asked, and how soon it is seen that the server is back

Echo = Callable[[Collection[str]], Set[str]]


class Outlook:
    """`heard` answers when the server last took this host's sign of life (monotonic), None for not yet: a
    host that starts alone need not wait to know it."""

    def __init__(
        self,
        *,
        informers: Informers,
        node_name: str,
        heard: Callable[[], float | None],
        stop: Stop,
        answering: Echo = echo.answering,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = informers.of(NODES)
        self._name, self._heard, self._stop = node_name, heard, stop
        self._answering, self._monotonic = answering, monotonic
        self._silent: frozenset[str] = frozenset()
        self._calls: list[Callable[[], None]] = []
        self._worker = Worker("outlook", self.step, stop)

    def silent(self) -> frozenset[str]:
        """The names of hosts that are not to be counted on."""
        return self._silent

    def subscribe(self, call: Callable[[], None]) -> None:
        """Call whenever `silent` has changed. Before the start."""
        self._calls.append(call)

    def start(self) -> None:
        self._worker.start()

    def stop(self) -> None:
        self._stop.set()

    def step(self) -> float:
        """One round; seconds until the next."""
        if not self._nodes.synced.is_set():
            return EVERY_SECONDS
        found = self._look() if self._alone() else frozenset()
        if found != self._silent:
            self._silent = found
            log.info("%s", _sentence(found))
            for call in self._calls:
                call()
        return EVERY_SECONDS

    def _alone(self) -> bool:
        heard = self._heard()
        return heard is None or self._monotonic() - heard >= ALONE_SECONDS

    def _look(self) -> frozenset[str]:
        nodes = (plan.node(obj) for obj in self._nodes.cache.list())
        others = {one.name: one.address for one in nodes if one.address and one.name != self._name}
        if not others:
            return frozenset()
        answers = self._answering(set(others.values()))
        found = frozenset(name for name, address in others.items() if address not in answers)
        return found if self._alone() else frozenset()  # asking took its time


def _sentence(silent: frozenset[str]) -> str:
    if not silent:
        return "all hosts count again"
    return f"the server is not heard, and no answer comes from {', '.join(sorted(silent))}"
