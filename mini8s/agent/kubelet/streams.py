"""Answers what the server asks over a tunnel connection: one HTTP/1.1 request, kubelet-style, one answer.

`GET /containerLogs/NAMESPACE/POD/CONTAINER?follow=true…` so far; exec, attach and port-forward will be
further rows of the table. While an answer waits for more output, the socket is watched for the asker going
away.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from mini8s.agent.kubelet.logs import LogOptions, Logs, limited
from mini8s.agent.runtime.base import EngineError, LogStream
from mini8s.objects.errors import ApiError, BadRequest, NotFound
from mini8s.util.clock import Clock
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

LONGEST_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """The request's first line, taken apart."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]


class Streams:
    def __init__(self, logs: Logs, clock: Clock) -> None:
        self._logs = logs
        self._clock = clock

    def serve(self, sock: socket.socket, begun: bytes = b"") -> None:
        """Take the request from a fresh tunnel connection, answer it, and hang up. `begun` is what was read
        of it already."""
        with sock:
            try:
                self._answer(sock, parse(read_head(sock, begun)[0]))
            except ApiError as error:
                _send_error(sock, error)
            except (OSError, EngineError) as error:
                log.info("a stream ended early: %s", error)

    def _answer(self, sock: socket.socket, asked: Asked) -> None:
        table: dict[str, Callable[[socket.socket, Asked], None]] = {"containerLogs": self._container_logs}
        handler = table.get(asked.path[0]) if asked.path else None
        if handler is None:
            raise NotFound(f"the node doesn't serve /{'/'.join(asked.path)}")
        handler(sock, asked)

    def _container_logs(self, sock: socket.socket, asked: Asked) -> None:
        if asked.method != "GET" or len(asked.path) != 4:
            raise BadRequest("ask GET /containerLogs/NAMESPACE/POD/CONTAINER")
        _, namespace, pod, container = asked.path
        options = LogOptions.parse(asked.query, self._clock.now())
        stream = self._logs.open(namespace, pod, container, options)
        with _watched(sock, stream):
            _send_chunks(sock, limited(stream, options.limit_bytes))


def read_head(sock: socket.socket, begun: bytes = b"") -> tuple[bytes, bytes]:
    """An HTTP head up to its empty line, and what came after it. Raises OSError."""
    data = begun
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        if not piece or len(data) > LONGEST_HEAD:
            raise ConnectionError("the connection ended within an HTTP head")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def parse(head: bytes) -> Asked:
    """Raises BadRequest."""
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest("that is no HTTP/1.1 request")
    url = urlsplit(words[1])
    path = tuple(unquote(part) for part in url.path.split("/") if part)
    return Asked(words[0], path, dict(parse_qsl(url.query)))


def _send_chunks(sock: socket.socket, pieces: Iterable[bytes]) -> None:
    """The head leaves at once: a follower waits for it before there is any output."""
    sock.sendall(_head("200 OK", "Content-Type: text/plain", "Transfer-Encoding: chunked"))
    for piece in pieces:
        if piece:
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    sock.sendall(b"0\r\n\r\n")


def _send_error(sock: socket.socket, error: ApiError) -> None:
    body = encode_json(error.status())
    status = f"{error.code} {error.reason}"
    try:
        sock.sendall(_head(status, "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
    except OSError as gone:
        log.info("nobody was left to hear %r: %s", error.message, gone)


def _head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode()


@contextmanager
def _watched(sock: socket.socket, stream: LogStream) -> Iterator[None]:
    """End the stream when its asker hangs up: nothing else would notice while there is no output. Only the
    kernel is asked, because a TLS socket must not be read by one thread while another writes to it."""
    watcher = threading.Thread(target=_close_with, args=(sock.fileno(), stream), name="stream-watch")
    watcher.start()
    try:
        yield
    finally:
        with suppress(OSError):  # it is down already when the asker was first
            sock.shutdown(socket.SHUT_RDWR)
        watcher.join()


def _close_with(descriptor: int, stream: LogStream) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    poll.poll()
    stream.close()
