"""Queries on their way to other servers: one thread waits for all of them, so that a server that stays silent
keeps nobody else waiting.

Each query goes out from a socket of its own, connected to the server asked: the kernel gives it a port of
chance and takes nothing from elsewhere. With an id of chance that is 31 bits to guess, within one round trip.
Letters of chance in the question (0x20) would add some more, and break what servers don't repeat faithfully;
neither CoreDNS nor systemd-resolved use them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mini8s.agent.dns.custom import Server
from mini8s.agent.dns.query import name_end

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0  # of one server: resolvers give a query 5 s in all
LONGEST = 65535  # bytes of an answer
GRAIN_SECONDS = 0.1  # how exactly a timeout is kept

Done = Callable[[bytes | OSError], None]


@dataclass(slots=True)
class _Asked:
    sock: socket.socket
    query: bytes  # as it went out
    until: float
    done: Done


class Upstreams:
    """`ask` may be called by any thread; `done` is called by the one that runs `round`, or at once."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards the two tables
        self._asked: dict[int, _Asked] = {}  # by file descriptor, in the order of their ends
        self._out: set[bytes] = set()  # ids and questions that are being asked
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)

    def ask(self, server: Server, query: bytes, done: Done) -> None:
        sent = secrets.token_bytes(2) + query[2:]
        try:
            sock = _connected(server)
        except OSError as error:  # no way there, or no more descriptors
            done(error)
            return
        with self._lock:
            self._out.add(identity(sent))
            self._asked[sock.fileno()] = _Asked(sock, sent, self._monotonic() + TIMEOUT_SECONDS, done)
            alone = len(self._asked) == 1
        try:
            self._poll.register(sock, select.EPOLLIN)
            sock.send(sent)
        except OSError as error:
            self._end(sock.fileno(), error)
        if alone:
            self.wake()  # nobody looks at the clock while nothing is asked

    def ask_stream(self, server: Server, query: bytes) -> bytes:
        """The answer by TCP, for which the caller waits. Raises OSError."""
        sent = secrets.token_bytes(2) + query[2:]
        with self._lock:
            self._out.add(identity(sent))
        try:
            with socket.create_connection(server, TIMEOUT_SECONDS) as connection:
                connection.sendall(struct.pack(">H", len(sent)) + sent)
                answer = read_message(connection, TIMEOUT_SECONDS)
        finally:
            with self._lock:
                self._out.discard(identity(sent))
        if not _answers(answer, sent):
            raise ConnectionError("the answer is to another question")
        return answer

    def is_out(self, query: bytes) -> bool:
        """Whether this is one of our own that came back."""
        with self._lock:
            return identity(query) in self._out

    def round(self) -> None:
        """Wait for answers, or for the next that comes too late."""
        with self._lock:
            soonest = next(iter(self._asked.values()), None)
        patience = max(GRAIN_SECONDS, soonest.until - self._monotonic()) if soonest else None
        for descriptor, _ in self._poll.poll(patience):
            if descriptor == self._wake:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
            else:
                self._read(descriptor)
        self._expire()

    def wake(self) -> None:
        """Let the round end that is waiting now."""
        os.eventfd_write(self._wake, 1)

    def _read(self, descriptor: int) -> None:
        with self._lock:
            asked = self._asked.get(descriptor)
        if asked is None:
            return
        try:
            answer = asked.sock.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(descriptor, error)
            return
        if _answers(answer, asked.query):
            self._end(descriptor, answer)

    def _expire(self) -> None:
        now = self._monotonic()
        with self._lock:
            late = [number for number, asked in self._asked.items() if asked.until <= now]
        for descriptor in late:
            self._end(descriptor, TimeoutError(f"no answer within {TIMEOUT_SECONDS:g} s"))

    def _end(self, descriptor: int, result: bytes | OSError) -> None:
        with self._lock:
            asked = self._asked.pop(descriptor, None)
            if asked is None:
                return
            self._out.discard(identity(asked.query))
        asked.sock.close()  # which takes it out of the poll, too
        try:
            asked.done(result)
        except Exception:
            # one odd answer must not end the thread, nor go unnoticed
            log.exception("what a name server said could not be passed on")


def read_message(connection: socket.socket, seconds: float) -> bytes:
    """One message of a stream, whole within that time. Raises OSError."""
    end = time.monotonic() + seconds
    length = int.from_bytes(_read_exactly(connection, 2, end), "big")
    return _read_exactly(connection, length, end)


def _read_exactly(connection: socket.socket, length: int, end: float) -> bytes:
    data = b""
    while len(data) < length:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the message did not come to its end")
        connection.settimeout(left)
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("the connection ended in the middle of a message")
        data += piece
    return data


def identity(message: bytes) -> bytes:
    """The id and the question, by which an answer is known; letters count as equal in both cases."""
    end = name_end(message)
    return message[:2] + message[12:end].lower() + message[end : end + 4]


def _answers(answer: bytes, sent: bytes) -> bool:
    """Whether it is a response with the id and the question that were sent."""
    return len(answer) >= 12 and bool(answer[2] & 0x80) and identity(answer) == identity(sent)


def _connected(server: Server) -> socket.socket:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        sock.connect(server)
    except OSError:
        sock.close()
        raise
    return sock
