"""What nodes and their pods use, asked of the agents over their tunnels when somebody wants to know.

All nodes are asked at once, and an answer is good for a while, so that neither a row of clients nor a screen
that is drawn every second reaches the hosts. Who doesn't answer in time is left out: its figures may come for
the next who asks.
"""

from __future__ import annotations

import http.client
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mini8s.api.logs import ask, refusal
from mini8s.api.tunnel import Tunnels
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import Obj
from mini8s.wire.codec import decode_json

log = logging.getLogger(__name__)

PATH = "/stats/summary?only_cpu_and_memory=true"
KEPT_SECONDS = 15.0  # how often metrics-server asks
WAIT_SECONDS = 3.0
OPEN_SECONDS = 2.0  # a node that is there opens a stream in milliseconds

Ask = Callable[[str], Obj]  # node → its summary; raises ApiError, OSError, ValueError, HTTPException


@dataclass(frozen=True, slots=True)
class _Answer:
    summary: Obj
    until: float  # good until then, monotonic


class NodeUsage:
    def __init__(self, ask: Ask, monotonic: Callable[[], float], wait_seconds: float = WAIT_SECONDS) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()  # guards the two below
        self._known: dict[str, _Answer] = {}
        self._asking: set[str] = set()

    def of(self, nodes: Iterable[str]) -> dict[str, Obj]:
        """The summaries of those that answer."""
        wanted = set(nodes)
        with self._changed:
            fresh = {node for node in wanted if node in self._known and not self._old(node)}
            for node in wanted - fresh - self._asking:
                self._asking.add(node)
                threading.Thread(target=self._learn, args=(node,), name="usage", daemon=True).start()
            self._changed.wait_for(lambda: not (wanted - fresh) & self._asking, self._wait_seconds)
            self._known = {node: one for node, one in self._known.items() if not self._old(node)}
            return {node: self._known[node].summary for node in wanted if node in self._known}

    def _old(self, node: str) -> bool:
        return self._known[node].until <= self._monotonic()

    def _learn(self, node: str) -> None:
        found: Obj | None = None
        try:
            found = self._ask(node)
        except (ApiError, OSError, ValueError, http.client.HTTPException) as error:
            log.info("what node %s uses is not known: %s", node, error)
        finally:
            with self._changed:
                if found is not None:
                    self._known[node] = _Answer(found, self._monotonic() + KEPT_SECONDS)
                self._asking.discard(node)
                self._changed.notify_all()


def over(tunnels: Tunnels) -> Ask:
    """Asks the agents themselves."""

    def summary(node: str) -> Obj:
        with tunnels.open(node, OPEN_SECONDS) as sock, ask(sock, PATH, node) as response:
            if response.status != http.client.OK:
                raise refusal(response)
            found: Obj = decode_json(response.read())
            return found

    return summary
