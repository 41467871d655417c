"""gunicorn's pywsgi worker, run in this process without its arbiter.

The arbiter would cost 12 MB and a process, and what it gives (restarts) the server's parent does already. So
we lean on gunicorn's and gevent's inside: on purpose in this file only, and `tests/unit/test_app_wsgi.py`
fails when a new version changes what is relied on.

One worker serves two doors: TLS, where a client certificate is optional, and the unix socket, which file mode
and SO_PEERCRED keep for root. `mini8s.app.hub.patch()` must have run first.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import gevent
from gevent import pywsgi
from gunicorn.app.base import BaseApplication
from gunicorn.workers.ggevent import GeventPyWSGIWorker, PyWSGIHandler, PyWSGIServer

from mini8s.api.connection import ENVIRON_KEY
from mini8s.app.connection import ServedConnection
from mini8s.app.listen import CannotListen, listen_tcp, listen_unix
from mini8s.app.process import raise_file_limit

__all__ = ["CannotListen", "TlsFiles", "serve"]

log = logging.getLogger(__name__)
pywsgi.MAX_REQUEST_LINE = 1 << 20  # exec URLs carry the command, and pywsgi has no setting for it

KEEPALIVE_SECONDS = 120  # Go's clients drop idle connections after 90: they must be the first to let go
HANDSHAKE_SECONDS = 10  # a TLS client that says nothing holds a greenlet no longer than this
HEADER_SECONDS = 15  # from the first byte of a request to the end of its headers
BODY_SECONDS = 60  # 3 MiB at 50 kB/s
DISCARD_SECONDS = 5  # reading on after an early refusal, so that the client can read our answer
DRAIN_SECONDS = 5  # for requests under way at SIGTERM
MAX_CONNECTIONS = 20_000
OTHER_FILES = 128  # for the store, tunnels and root's own door when strangers fill the other one
ONE_PIECE_BYTES = 16_384  # a TLS record; to copy more would cost more than to send twice

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: the serving certificate and key, and the authority of client certificates."""

    certificate: str
    key: str
    client_ca: str


class Body(pywsgi.Input):  # type: ignore[misc]
    """A request's body, with an end to patience. After one that was `abandoned` the connection is of no more
    use: what follows on it is still that body."""

    abandoned = False

    def read(self, length: int | None = None) -> bytes:
        with gevent.Timeout(BODY_SECONDS, TimeoutError("the request's body took too long")):
            return bytes(super().read(length))

    def read1(self, size: int) -> bytes:
        """What has come of it, b"" at its end: for who passes it on. Only the socket's patience ends it."""
        if self.chunked_input:
            first = bytes(super().read(1))
            left = min(self.chunk_length - self.position, size - 1) if first else 0
            return first + bytes(super().read(left)) if left > 0 else first
        left = min((self.content_length or 0) - self.position, size)
        if left <= 0:
            return b""
        self._send_100_continue()
        piece = bytes(self.rfile.read1(left))
        if not piece:
            raise OSError("the request's body broke off")
        self.position += len(piece)
        return piece

    def _discard(self) -> None:
        self.abandoned = True
        with gevent.Timeout(DISCARD_SECONDS, False):
            super()._discard()
            self.abandoned = False


class Handler(PyWSGIHandler):  # type: ignore[misc]
    """One connection. Adds the time limits that pywsgi lacks, and the taking over of the socket."""

    connection: ServedConnection | None = None
    busy = False
    wsgi_input: Any
    _held: bytearray | None = None  # what is to leave in one piece

    def handle(self) -> None:
        self.greenlet = gevent.getcurrent()
        self.connection = ServedConnection(self.socket)
        self.server.handlers.add(self)
        try:
            super().handle()
        finally:
            self.server.handlers.discard(self)

    def handle_one_request(self) -> Any:
        if not self._first_byte():
            return None
        self.busy = True
        self.header_timeout = gevent.Timeout.start_new(HEADER_SECONDS, ValueError("headers took too long"))
        try:
            result = super().handle_one_request()
        finally:
            self.busy = False
            self.header_timeout.close()
        if result is True and (self.server.draining or self.wsgi_input.abandoned):
            return None
        return result

    def _first_byte(self) -> bool:
        """Wait between requests; the socket's own timeout ends an idle connection. Others come first, for who
        asks again at once would never have to wait."""
        gevent.sleep(0)
        try:
            return bool(self.rfile.peek(1))
        except OSError:
            return False

    def read_requestline(self) -> str:
        try:
            return str(super().read_requestline())
        except ValueError:
            return ""  # not a request at all: hang up

    def read_request(self, raw_requestline: str) -> bool:
        try:
            return bool(super().read_request(raw_requestline))
        except HTTPException as error:  # of the standard library, for more than a hundred headers
            self.log_error("%s", error)
            return False  # which is answered with 400
        finally:
            self.header_timeout.close()

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        plain = self.wsgi_input
        self.wsgi_input = Body(plain.rfile, plain.content_length, plain.socket, plain.chunked_input)
        if environ["wsgi.input"] is plain:
            environ["wsgi.input"] = self.wsgi_input
        environ[ENVIRON_KEY] = self.connection
        return environ

    def _write_with_headers(self, data: bytes) -> None:
        """A small body leaves in one piece with its headers: a second send would cost a third of a GET."""
        if len(data) > ONE_PIECE_BYTES:
            super()._write_with_headers(data)
            return
        held = self._held = bytearray()
        try:
            super()._write_with_headers(data)
        finally:
            self._held = None
        self._sendall(held)

    def _sendall(self, data: bytes | bytearray) -> None:
        if self._held is None:
            super()._sendall(data)
        else:
            self._held += data

    def run_application(self) -> None:
        try:
            self.result = self.application(self.environ, self.start_response)
            if self.connection is not None and self.connection.taken:
                self._leave()
            else:
                self.process_result()
        finally:
            close = getattr(self.result, "close", None)
            self.result = None
            if close is not None:
                close()
            if self.connection is not None:
                self.connection.release()

    def _leave(self) -> None:
        """Whoever took the socket wrote the answer; pywsgi must add nothing."""
        self.headers_sent = True
        self.close_connection = True
        self.wsgi_input.content_length = 0
        self.wsgi_input.chunked_input = False

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        """The API answers its own errors; what comes here from a socket is a client that went away."""
        if issubclass(t, OSError):
            self.close_connection = True
            log.debug("%s: %s", self.client_address, v)
        else:
            super().handle_error(t, v, tb)

    def log_request(self) -> None:
        """The API's metrics count requests; a line for each would wear the disk."""

    def log_error(self, msg: str, *args: Any) -> None:
        """Only nonsense from clients comes here."""
        log.debug(msg, *args)


class Server(PyWSGIServer):  # type: ignore[misc]
    """A listener: TLS unless it is the unix socket."""

    def __init__(self, listener: Any, *args: Any, **options: Any) -> None:
        if listener.family == socket.AF_UNIX:
            options.pop("ssl_context", None)
        self.handlers: set[Handler] = set()
        self.draining = False
        super().__init__(listener, *args, **options)

    def handle(self, sock: Any, address: Any) -> None:
        sock.settimeout(KEEPALIVE_SECONDS)
        super().handle(sock, address)

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> None:
        client_socket.settimeout(HANDSHAKE_SECONDS)
        try:
            wrapped = self.wrap_socket(client_socket, **self.ssl_args)
        except OSError as error:  # ssl.SSLError is one too: scanners, plain HTTP, an unknown authority
            log.debug("TLS with %s failed: %s", address, error)
            return
        with wrapped:
            self.handle(wrapped, address)

    def idle_handlers(self) -> list[Handler]:
        return [handler for handler in self.handlers if not handler.busy]


class Worker(GeventPyWSGIWorker):  # type: ignore[misc]
    """The worker without an arbiter above it: signals, parent and end are its own business."""

    alive: bool
    wsgi_handler = Handler

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.servers: list[Server] = []
        self.server_class = self._new_server  # gunicorn's loop keeps its servers to itself

    def _new_server(self, *args: Any, **options: Any) -> Server:
        server = Server(*args, **options)
        self.servers.append(server)
        return server

    def patch(self) -> None:
        """`hub.patch` did, and our sockets are gevent's from the start."""

    def notify(self) -> None:
        """Once a second from gunicorn's loop. Nobody watches its file; an orphan ends in good order."""
        if self.ppid != os.getppid():
            self.end()

    def init_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self.end)

    def end(self) -> None:
        if self.alive:
            self.alive = False
            gevent.spawn(self._drain)

    def _drain(self) -> None:
        """End open watches, let requests finish, hang up on who is idle: gunicorn then finds nobody."""
        for server in self.servers:
            server.draining = True
            server.close()
        self.app.on_stop()
        until = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < until and any(server.handlers for server in self.servers):
            self._hang_up(Server.idle_handlers)
            gevent.sleep(0.05)
        self._hang_up(lambda server: list(server.handlers))

    def _hang_up(self, on: Callable[[Server], list[Handler]]) -> None:
        for server in self.servers:
            gevent.killall([handler.greenlet for handler in on(server)], block=False)


class Application(BaseApplication):  # type: ignore[misc]
    """gunicorn's settings for our worker. It reads no file, no environment and no command line."""

    def __init__(self, app: Wsgi, options: dict[str, Any], on_stop: Callable[[], None]) -> None:
        self._app = app
        self._options = options
        self.on_stop = on_stop
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Wsgi:
        return self._app


def serve(
    app: Wsgi,
    *,
    bind_address: str,
    port: int,
    tls: TlsFiles,
    unix_socket: str,
    on_ready: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return.

    `on_ready` is called once connections are taken, `on_stop` first thing at the end: it ends open watches.
    Raises CannotListen before anything else happened.
    """
    sockets = [listen_tcp(bind_address, port), listen_unix(unix_socket)]
    application = Application(app, _options(tls, on_ready), on_stop)
    cfg = application.cfg
    worker = Worker(0, os.getppid(), sockets, application, 0, cfg, cfg.logger_class(cfg))
    try:
        worker.init_process()
    finally:
        Path(unix_socket).unlink(missing_ok=True)


def _options(tls: TlsFiles, on_ready: Callable[[], None]) -> dict[str, Any]:
    shared_memory = Path("/dev/shm")  # noqa: S108  gunicorn's heartbeat file, which nobody reads
    return {
        "certfile": tls.certificate,
        "keyfile": tls.key,
        "ca_certs": tls.client_ca,
        "cert_reqs": ssl.CERT_OPTIONAL,
        "keepalive": KEEPALIVE_SECONDS,
        "worker_connections": raise_file_limit(MAX_CONNECTIONS + OTHER_FILES) - OTHER_FILES,
        "graceful_timeout": DRAIN_SECONDS + 2,
        "limit_request_line": 0,
        "control_socket_disable": True,
        "loglevel": "warning",
        "worker_tmp_dir": str(shared_memory) if shared_memory.is_dir() else None,
        "post_worker_init": lambda _worker: gevent.spawn(on_ready) and None,
    }
