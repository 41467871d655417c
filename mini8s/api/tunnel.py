"""Connections to nodes that no node has to accept: the agent calls out, the server asks for streams.

An agent keeps one request open (`control`) on which it reads the ids of streams that somebody wants; for
each it opens a connection of its own, which is handed to who waits for that id. What is spoken on it is HTTP
with the roles turned round, and not this module's business.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mini8s.api.answer import Answer, Pieces, begun
from mini8s.api.connection import Connection, Socket
from mini8s.objects.errors import NotFound, ServiceUnavailable
from mini8s.wire.codec import encode_json

PROTOCOL = "mini8s-tunnel"
OPEN_SECONDS = 5.0  # for the agent to be there and to call back
HEARTBEAT_SECONDS = 15.0
_SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + PROTOCOL.encode() + b"\r\n\r\n"
)


class _Wanted:
    """One stream that somebody waits for."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.arrived: queue.SimpleQueue[Socket] = queue.SimpleQueue()
        self.finished = threading.Event()


class Tunnels:
    def __init__(self) -> None:
        self._controls: dict[str, queue.SimpleQueue[bytes | None]] = {}
        self._wanted: dict[str, _Wanted] = {}
        self._changed = threading.Condition()  # guards _controls

    def control(self, node: str, connection: Connection) -> Answer:
        """The agent's standing request. A new one takes the place of an older, which may be dead already."""
        asks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        unwatch = connection.when_gone(lambda: asks.put(None))
        with self._changed:
            older = self._controls.get(node)
            self._controls[node] = asks
            self._changed.notify_all()
        if older is not None:
            older.put(None)
        return Answer(pieces=begun(self._lines(node, asks, unwatch)))

    def accept(self, id: str, node: str) -> Answer:
        """The connection that an agent opened for a stream. Raises NotFound when nobody waits any more."""
        wanted = self._wanted.get(id)
        if wanted is None or wanted.node != node:
            raise NotFound("nobody waits for this stream")

        def hand_over(connection: Connection) -> None:
            sock = connection.take_socket()
            sock.sendall(_SWITCHING)
            wanted.arrived.put(sock)
            wanted.finished.wait()

        return Answer(take_over=hand_over)

    @contextmanager
    def open(self, node: str, patience: float = OPEN_SECONDS) -> Iterator[Socket]:
        """A connection to the node's agent, for as long as the block lasts. `patience` is for the agent to be
        there, and for it to call back. Raises ServiceUnavailable."""
        key, wanted = secrets.token_hex(16), _Wanted(node)
        self._wanted[key] = wanted
        try:
            self._ask(node, key, patience)
            try:
                sock = wanted.arrived.get(timeout=patience)
            except queue.Empty:
                raise _unreachable(node, f"its agent opened no stream within {patience:.0f} s") from None
            yield sock
        finally:
            del self._wanted[key]
            wanted.finished.set()

    def close(self) -> None:
        """Let every agent go: each comes back to whoever serves next."""
        with self._changed:
            for asks in self._controls.values():
                asks.put(None)

    def _ask(self, node: str, id: str, patience: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: node in self._controls, patience):
                raise _unreachable(node, "its agent is not connected to the server")
            self._controls[node].put(encode_json({"id": id}) + b"\n")

    def _lines(self, node: str, asks: queue.SimpleQueue[bytes | None], unwatch: Callable[[], None]) -> Pieces:
        try:
            yield b""
            while True:
                try:
                    line = asks.get(timeout=HEARTBEAT_SECONDS)
                except queue.Empty:
                    line = b"\n"
                if line is None:
                    return
                yield line
        finally:
            unwatch()
            with self._changed:
                if self._controls.get(node) is asks:
                    del self._controls[node]


def _unreachable(node: str, reason: str) -> ServiceUnavailable:
    return ServiceUnavailable(f'node "{node}" cannot be reached: {reason}')
