"""The agent's own road for what the server wants of it (logs, exec, port-forward): the agent dials, so that
a host behind NAT needs no open port.

One long request brings an id for each stream that is wanted; for each id a new connection is opened and
upgraded, and from then on the server is the one who asks on it.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from urllib.parse import quote, urlsplit

from mini8s.agent.kubelet.serving.streams import read_head
from mini8s.client.base import RETRY_SECONDS
from mini8s.client.transport import Endpoint
from mini8s.util.backoff import Backoff
from mini8s.util.keepalive import keep_alive
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker
from mini8s.wire.codec import decode_json

log = logging.getLogger(__name__)

PATH = "/v1-mini8s/tunnel"
CONNECT_SECONDS = 10.0
SILENT_SECONDS = 45.0  # three heartbeats of the server
JOIN_SECONDS = 2.0
MOST_STREAMS = 64  # threads; a server that wants more is refused by silence and says so to its client

Serve = Callable[[socket.socket, bytes], None]  # an upgraded connection, and what was read of it already


class Tunnel:
    """`serve` answers on one upgraded connection and closes it."""

    def __init__(self, endpoint: Endpoint, node: str, serve: Serve, stop: Stop) -> None:
        self._url = urlsplit(endpoint.url)
        self._endpoint = endpoint
        self._node = node
        self._serve = serve
        self._stop = stop
        self._slots = threading.BoundedSemaphore(MOST_STREAMS)
        self._backoff = Backoff(first=0.5, most=RETRY_SECONDS)
        self._open: http.client.HTTPConnection | None = None
        self._said = OnChange(log)
        self._streams: dict[threading.Thread, socket.socket] = {}
        self._worker = Worker("tunnel", self.step, stop)

    def start(self) -> None:
        self._worker.start()

    def stop(self) -> None:
        """End the long request and all streams, after the stop was set: what was started for a stream ends
        with it."""
        connection = self._open
        if connection and connection.sock:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError as error:
                log.debug("the tunnel was down already: %s", error)
        self._worker.join(JOIN_SECONDS)
        self._hang_up(dict(self._streams))

    def _hang_up(self, streams: Mapping[threading.Thread, socket.socket]) -> None:
        for sock in streams.values():
            with suppress(OSError):  # it has just ended by itself
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which is another thread's
        end = time.monotonic() + JOIN_SECONDS
        for thread in streams:
            thread.join(max(0.0, end - time.monotonic()))

    def step(self) -> float:
        """Hold the long request until it ends; the pause before the next."""
        try:
            with closing(self._connection(SILENT_SECONDS)) as connection:
                self._open = connection
                self._listen(connection)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self._stop:
                return 0.0
            self._said.say(f"tunnel: {error or type(error).__name__}")
        finally:
            self._open = None
        return self._backoff.failed()

    def _listen(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", f"{PATH}?node={quote(self._node)}", headers=self._headers())
        answer = connection.getresponse()
        if answer.status != 200:
            raise ConnectionError(f"the server answered {answer.status} {answer.reason}")
        self._backoff.succeeded()
        self._said.say("tunnel: open")
        while not self._stop:
            line = answer.readline()
            if not line:
                raise ConnectionError("the server ended it")
            if line.strip():
                self._begin(str(decode_json(line)["id"]))

    def _begin(self, wanted: str) -> None:
        if not self._slots.acquire(blocking=False):
            log.warning("more than %d streams at once: %s is not opened", MOST_STREAMS, wanted)
            return
        threading.Thread(target=self._stream, args=(wanted,), name="stream", daemon=True).start()

    def _stream(self, wanted: str) -> None:
        this = threading.current_thread()
        try:
            sock, begun = self._upgrade(wanted)
            self._streams[this] = sock
            self._serve(sock, begun)
        except OSError as error:
            log.warning("stream %s could not be opened: %s", wanted, error)
        finally:
            self._streams.pop(this, None)
            self._slots.release()

    def _upgrade(self, wanted: str) -> tuple[socket.socket, bytes]:
        """A connection of its own for one stream. Raises OSError."""
        connection = self._connection(CONNECT_SECONDS)
        connection.connect()
        sock: socket.socket = connection.sock
        lines = [
            f"POST {PATH}/{quote(wanted)} HTTP/1.1",
            f"Host: {self._url.netloc}",
            "Connection: Upgrade",
            "Upgrade: mini8s-tunnel",
            "Content-Length: 0",
            *(f"{name}: {value}" for name, value in self._headers().items()),
        ]
        try:
            sock.sendall("\r\n".join([*lines, "", ""]).encode())
            head, rest = read_head(sock)
            if not head.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(head.split(b"\r\n", 1)[0].decode("latin-1"))
        except OSError:
            sock.close()
            raise
        sock.settimeout(None)
        keep_alive(sock)
        return sock, rest

    def _headers(self) -> dict[str, str]:
        token = self._endpoint.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _connection(self, timeout_seconds: float) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        context = _context(self._endpoint)  # each time: the certificate may have been renewed
        if context is None:
            return http.client.HTTPConnection(host, self._url.port or 80, timeout=timeout_seconds)
        return http.client.HTTPSConnection(
            host, self._url.port or 443, timeout=timeout_seconds, context=context
        )


def _context(endpoint: Endpoint) -> ssl.SSLContext | None:
    if not endpoint.url.startswith("https:"):
        return None
    context = ssl.create_default_context(cafile=endpoint.ca_file or None)
    if endpoint.cert_file:
        context.load_cert_chain(endpoint.cert_file, endpoint.key_file or None)
    return context
