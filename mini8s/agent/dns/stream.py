"""DNS over TCP: for answers too long for a datagram. A thread a connection, few of them, none for long."""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Callable

from mini8s.agent.dns.upstream import read_message

log = logging.getLogger(__name__)

CONNECTIONS = 64  # at once; more are closed: a client tries again
IDLE_SECONDS = 5.0  # in which a query has to come, whole
ACCEPT_SECONDS = 1.0  # how soon a stop is seen


class Stream:
    """Accepts connections and answers what comes over them."""

    def __init__(self, sock: socket.socket, answer: Callable[[bytes], bytes]) -> None:
        """`answer` gives nothing for what deserves no answer; then the connection ends."""
        self._socket = sock
        self._answer = answer
        self._slots = threading.Semaphore(CONNECTIONS)
        sock.settimeout(ACCEPT_SECONDS)

    def round(self) -> None:
        """Wait for a connection and leave it to a thread of its own."""
        try:
            connection, _ = self._socket.accept()
        except TimeoutError:
            return
        if not self._slots.acquire(blocking=False):
            connection.close()
            return
        threading.Thread(target=self._serve, args=(connection,), name="dns-tcp", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                while answer := self._answer(read_message(connection, IDLE_SECONDS)):
                    connection.settimeout(IDLE_SECONDS)
                    connection.sendall(struct.pack(">H", len(answer)) + answer)
        except OSError:
            return  # ended or silent: a client's way to say that it is done
        finally:
            self._slots.release()
