"""gunicorn's pywsgi worker, run in this process without its arbiter.

The arbiter would cost 12 MB and a process, and what it gives (restarts) the server's parent does already. So
we lean on gunicorn's and gevent's inside: on purpose in this file only, and `tests/unit/test_app_wsgi.py`
fails when a new version changes what is relied on. `app/handler.py` has what happens on a connection.

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
from pathlib import Path
from typing import Any

import gevent
from gunicorn.app.base import BaseApplication
from gunicorn.workers.ggevent import GeventPyWSGIWorker, PyWSGIServer

from mini8s.app.handler import Handler
from mini8s.app.listen import CannotListen, listen_tcp, listen_unix
from mini8s.app.process import raise_file_limit
from mini8s.util.log import OnChange

__all__ = ["CannotListen", "Tls", "TlsFiles", "serve"]

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 120  # Go's clients drop idle connections after 90: they must be the first to let go
HANDSHAKE_SECONDS = 10  # a TLS client that says nothing holds a greenlet no longer than this
DRAIN_SECONDS = 5  # for requests under way at SIGTERM
MAX_CONNECTIONS = 20_000
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; all of 1.3 are as strong (RFC 9325, 4.2)
OTHER_FILES = 128  # for the store, tunnels and root's own door when strangers fill the other one

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: the serving certificate and key, and the authority of client certificates."""

    certificate: str
    key: str
    client_ca: str

    def state(self) -> tuple[int, ...]:
        """Differs when a file was replaced."""
        return tuple(Path(path).stat().st_mtime_ns for path in (self.certificate, self.key, self.client_ca))


class Tls:
    """The context of all handshakes, which follows its files: what is open goes on as it began."""

    def __init__(self, files: TlsFiles) -> None:
        self.files = files
        self._loaded: tuple[int, ...] = ()
        self._said = OnChange(log)
        self._make: Callable[[], ssl.SSLContext] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self, _config: object, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """gunicorn's hook `ssl_context`."""
        self._make = make
        self._loaded = self.files.state()
        self._context = make()
        return self._context

    def wrap(self, sock: Any, **arguments: Any) -> Any:
        """A handshake in the context of now."""
        if self._context is None:
            raise RuntimeError("there is no context before the worker has made its servers")
        return self._context.wrap_socket(sock, **arguments)

    def refresh(self) -> None:
        """A new context when files were replaced: one that is there can learn to believe another authority,
        but not to forget one. While they can't be read, what was loaded last is used."""
        try:
            state = self.files.state()
            if state == self._loaded or self._make is None:
                return
            self._context = self._make()
        except OSError as error:  # ssl.SSLError is one too
            self._said.say(f"the serving certificate can't be loaded: {error}")
            return
        self._loaded = state
        self._said.say("new handshakes have a new certificate")


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
        if server.ssl_enabled:
            server.wrap_socket = self.app.tls.wrap
        self.servers.append(server)
        return server

    def patch(self) -> None:
        """`hub.patch` did, and our sockets are gevent's from the start."""

    def notify(self) -> None:
        """Once a second from gunicorn's loop. Nobody watches its file; an orphan ends in good order."""
        if self.ppid != os.getppid():
            self.end()
        self.app.tls.refresh()

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

    def __init__(
        self, app: Wsgi, tls: Tls, on_ready: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        self._app = app
        self.tls = tls
        self._options = _options(tls, on_ready)
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
    tls: Tls,
    unix_socket: str,
    on_ready: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return.

    `on_ready` is called once connections are taken, `on_stop` first thing at the end: it ends open watches.
    Raises CannotListen before anything else happened.
    """
    sockets = [listen_tcp(bind_address, port), listen_unix(unix_socket)]
    application = Application(app, tls, on_ready, on_stop)
    cfg = application.cfg
    worker = Worker(0, os.getppid(), sockets, application, 0, cfg, cfg.logger_class(cfg))
    try:
        worker.init_process()
    finally:
        Path(unix_socket).unlink(missing_ok=True)


def _options(tls: Tls, on_ready: Callable[[], None]) -> dict[str, Any]:
    shared_memory = Path("/dev/shm")  # noqa: S108  gunicorn's heartbeat file, which nobody reads
    return {
        "certfile": tls.files.certificate,
        "keyfile": tls.files.key,
        "ca_certs": tls.files.client_ca,
        "ssl_context": tls.context,
        "cert_reqs": ssl.CERT_OPTIONAL,
        "ciphers": CIPHERS,
        "keepalive": KEEPALIVE_SECONDS,
        "worker_connections": raise_file_limit(MAX_CONNECTIONS + OTHER_FILES) - OTHER_FILES,
        "graceful_timeout": DRAIN_SECONDS + 2,
        "limit_request_line": 0,
        "control_socket_disable": True,
        "loglevel": "warning",
        "worker_tmp_dir": str(shared_memory) if shared_memory.is_dir() else None,
        "post_worker_init": lambda _worker: gevent.spawn(on_ready) and None,
    }
