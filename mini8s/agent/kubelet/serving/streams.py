"""Answers what the server asks over a tunnel connection: one HTTP/1.1 request, kubelet-style, one answer.

`GET /containerLogs/NAMESPACE/POD/CONTAINER?follow=true…` gets a stream of bytes; while it waits for more
output, the socket is watched for the asker going away. `/exec/…`, `/attach/…` and `/portForward/…` are
upgraded: what is spoken then is the business of `agent/streams`. `/connect/…` is the server's way to a port
of a pod or of the node. All else is a document, such as `/stats/summary` (`documents`).
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from mini8s.agent.kubelet.serving.dialling import Dials
from mini8s.agent.kubelet.serving.logs import LogOptions, Logs, limited
from mini8s.agent.kubelet.serving.sessions import Agreed, NoContainer, Request, Sessions
from mini8s.agent.kubelet.usage.documents import Documents
from mini8s.agent.runtime.base import EngineError, LogStream
from mini8s.agent.streams.duct import Duct
from mini8s.agent.streams.errors import ProtocolError
from mini8s.objects.errors import ApiError, BadRequest, NotFound
from mini8s.util.clock import Clock
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

LONGEST_HEAD = 1 << 20  # the command of an exec is in its URL


@dataclass(frozen=True, slots=True)
class Asked:
    """The request, taken apart."""

    method: str
    path: tuple[str, ...]
    pairs: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case

    @property
    def request(self) -> Request:
        return Request(self.headers, self.pairs)

    @property
    def query(self) -> dict[str, str]:
        return dict(self.pairs)

    @property
    def secure(self) -> bool:
        return self.query.get("scheme") == "https"


class Streams:
    def __init__(
        self, logs: Logs, documents: Documents, sessions: Sessions, dials: Dials, clock: Clock
    ) -> None:
        self._logs = logs
        self._documents = documents
        self._sessions = sessions
        self._dials = dials
        self._clock = clock

    def serve(self, sock: socket.socket, begun: bytes = b"") -> None:
        """Take the request from a fresh tunnel connection, answer it, and hang up. `begun` is what was read
        of it already."""
        with sock:
            try:
                head, rest = read_head(sock, begun)
                self._answer(sock, parse(head), rest)
            except NoContainer as error:
                _send_sentence(sock, error.message)
            except ApiError as error:
                _send_error(sock, error)
            except (OSError, EngineError, ProtocolError) as error:
                log.info("a stream ended early: %s", error)

    def _answer(self, sock: socket.socket, asked: Asked, rest: bytes) -> None:
        match asked.path:
            case ("containerLogs", namespace, pod, container) if asked.method == "GET":
                self._container_logs(sock, (namespace, pod, container), asked)
            case ("exec", namespace, pod, container):
                _upgrade(sock, rest, self._sessions.exec(namespace, pod, container, asked.request))
            case ("attach", namespace, pod, container):
                _upgrade(sock, rest, self._sessions.attach(namespace, pod, container, asked.request))
            case ("portForward", namespace, pod):
                _upgrade(sock, rest, self._sessions.forward(namespace, pod, asked.request))
            case ("connect", "pods", namespace, pod, port):
                _upgrade(sock, rest, self._dials.pod(namespace, pod, port, secure=asked.secure))
            case ("connect", "node", port):
                _upgrade(sock, rest, self._dials.node(port, secure=asked.secure))
            case _:
                document = self._documents.get(asked.path, asked.query) if asked.method == "GET" else None
                if document is None:
                    raise NotFound(f"the node doesn't serve {asked.method} /{'/'.join(asked.path)}")
                _send(sock, "200 OK", document.content_type, document.body)

    def _container_logs(self, sock: socket.socket, whose: tuple[str, str, str], asked: Asked) -> None:
        options = LogOptions.parse(asked.query, self._clock.now())
        stream = self._logs.open(*whose, options)
        with _watched(sock, stream):
            _send_chunks(sock, limited(stream, options.limit_bytes))


def read_head(sock: socket.socket, begun: bytes = b"") -> tuple[bytes, bytes]:
    """An HTTP head up to its empty line, and what came after it. Raises OSError."""
    data = begun
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece or len(data) > LONGEST_HEAD:
            raise ConnectionError("the connection ended within an HTTP head")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def parse(head: bytes) -> Asked:
    """Raises BadRequest."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest("that is no HTTP/1.1 request")
    url = urlsplit(words[1])
    path = tuple(unquote(part) for part in url.path.split("/") if part)
    pairs = [line.partition(":") for line in lines]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Asked(words[0], path, parse_qsl(url.query, keep_blank_values=True), headers)


def _upgrade(sock: socket.socket, rest: bytes, agreed: Agreed) -> None:
    sock.sendall(agreed.head)
    agreed.run(Duct(sock, rest))


def _send_chunks(sock: socket.socket, pieces: Iterable[bytes]) -> None:
    """The head leaves at once: a follower waits for it before there is any output."""
    sock.sendall(_head("200 OK", "Content-Type: text/plain", "Transfer-Encoding: chunked"))
    for piece in pieces:
        if piece:
            sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    sock.sendall(b"0\r\n\r\n")


def _send_error(sock: socket.socket, error: ApiError) -> None:
    try:
        _send(sock, f"{error.code} {error.reason}", "application/json", encode_json(error.status()))
    except OSError as gone:
        log.info("nobody was left to hear %r: %s", error.message, gone)


def _send_sentence(sock: socket.socket, sentence: str) -> None:
    """kubectl shows a plain answer to an upgrade as it is."""
    _send(sock, "404 Not Found", "text/plain", f"{sentence}\n".encode())


def _send(sock: socket.socket, status: str, content_type: str, body: bytes) -> None:
    head = _head(status, f"Content-Type: {content_type}", f"Content-Length: {len(body)}")
    sock.sendall(head + body)


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
