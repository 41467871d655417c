"""One connection of the API's server: pywsgi's handler with the time limits that it lacks, the taking over of
the socket, and less work for each request.

A request whose head is there at once, as nearly all are, costs one read, and an answer one write; no timer is
set for either. What leans on pywsgi's inside is tested in `tests/unit/test_app_wsgi.py`.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import Any

import gevent
from gevent import pywsgi

from mini8s.api.connection import ENVIRON_KEY
from mini8s.app import head
from mini8s.app.connection import ServedConnection
from mini8s.app.head import BadHead, Head

log = logging.getLogger(__name__)

HEADER_SECONDS = 15  # from the first byte of a request to the end of its headers
BODY_SECONDS = 60  # 3 MiB at 50 kB/s
DISCARD_SECONDS = 5  # reading on after an early refusal, so that the client can read our answer
MOST_REQUEST_LINE = 1 << 20  # exec URLs carry the command
ONE_PIECE_BYTES = 16_384  # a TLS record; to copy more would cost more than to send twice
PUSH_BYTES = 256 * 1024  # tried without waiting; gevent sends at least a megabyte at a time

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-length: 0\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 414 Request URI Too Long\r\nConnection: close\r\nContent-length: 0\r\n\r\n"


class _LineTooLong(Exception):
    """A request line beyond all measure."""


class Body(pywsgi.Input):  # type: ignore[misc]
    """A request's body, with an end to patience. After one that was `abandoned` the connection is of no more
    use: what follows on it is still that body."""

    abandoned = False
    here = False  # whether all of it has come already: then nobody has to wait

    def read(self, length: int | None = None) -> bytes:
        if self.here:
            return bytes(super().read(length))
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
        if not self.chunked_input and self.position >= (self.content_length or 0):
            return
        self.abandoned = True
        with gevent.Timeout(DISCARD_SECONDS, False):
            super()._discard()
            self.abandoned = False


class Handler(pywsgi.WSGIHandler):  # type: ignore[misc]
    """One connection, request by request."""

    busy = False
    connection: ServedConnection
    wsgi_input: Any
    _head = b""  # of the answer: status line and headers

    def handle(self) -> None:
        self.greenlet = gevent.getcurrent()
        self.connection = ServedConnection(self.socket)
        self.server.handlers.add(self)
        try:
            super().handle()
        finally:
            self.server.handlers.discard(self)

    def handle_one_request(self) -> Any:
        """True: go on with the next. None: hang up. A pair: its second is what to say before that."""
        there = self._first_bytes()
        if not there:
            return None
        self.busy = True
        try:
            data = self._head_of_request(there)
            if not data:
                return None
            self._begin(head.parse(data), len(there) - len(data))
        except BadHead as error:
            log.debug("%s: %s", self.client_address, error)
            return "400", _BAD_REQUEST
        except _LineTooLong:
            return "414", _TOO_LONG
        else:
            self.handle_one_response()
        finally:
            self.busy = False
        if self.close_connection or self.server.draining or self.wsgi_input.abandoned:
            return None
        return True

    def _first_bytes(self) -> bytes:
        """Wait between requests; the socket's own timeout ends an idle connection. Others come first, for who
        asks again at once would never have to wait."""
        gevent.sleep(0)
        try:
            return bytes(self.rfile.peek(1))
        except OSError:
            return b""

    def _head_of_request(self, there: bytes) -> bytes:
        """Up to its blank line; empty when the client hung up in its midst. Raises BadHead, _LineTooLong."""
        end = head.end(there)
        if end:
            return bytes(self.rfile.read(end))
        try:
            with gevent.Timeout(HEADER_SECONDS, BadHead("the headers took too long")):
                return self._line_by_line()
        except OSError:
            return b""

    def _line_by_line(self) -> bytes:
        data = bytearray(self.rfile.readline(MOST_REQUEST_LINE))
        if len(data) >= MOST_REQUEST_LINE:
            raise _LineTooLong
        for _ in range(head.MOST_HEADERS + 1):
            line = self.rfile.readline(head.MOST_LINE)
            if len(line) >= head.MOST_LINE:
                raise BadHead("a header is too long")
            data += line
            if line in {b"\r\n", b"\n", b""}:
                return bytes(data) if line else b""
        raise BadHead(f"more than {head.MOST_HEADERS} headers")

    def _begin(self, request: Head, there: int) -> None:
        """Make what the application gets; so many bytes of the body have come already."""
        self.request_version = request.environ["SERVER_PROTOCOL"]
        self.close_connection = not request.keep_alive
        self.application = self.server.application
        self.environ = environ = self.server.get_environ()
        environ.update(request.environ)
        if isinstance(self.client_address, tuple):
            environ["REMOTE_ADDR"] = str(self.client_address[0])
            environ["REMOTE_PORT"] = str(self.client_address[1])
        waiting = self.socket if environ.get("HTTP_EXPECT") == "100-continue" else None
        self.wsgi_input = Body(self.rfile, request.length, waiting, request.chunked)
        self.wsgi_input.here = not request.chunked and there >= (request.length or 0)
        upgrade = head.wants_upgrade(request.environ)
        environ["wsgi.input"] = self.rfile if upgrade else self.wsgi_input
        environ["wsgi.input_terminated"] = not upgrade
        environ[ENVIRON_KEY] = self.connection

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """pywsgi's in one pass: the lines are put together here, and nothing is kept that only a log of
        requests would need. Raises ValueError for a line break in a header."""
        if exc_info and self.headers_sent:
            raise exc_info[1].with_traceback(exc_info[2])
        lines = [f"HTTP/1.1 {status}", *[f"{name}: {value}" for name, value in headers], ""]
        text = "\r\n".join(lines)
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
            raise ValueError("a line break in a header")
        said = {name.lower(): value for name, value in headers}
        self._head = text.encode("latin-1")
        self.status, self.code = status.encode("latin-1"), int(status[:3])
        self.provided_content_length = said.get("content-length")
        self.provided_date = said.get("date", "")
        self.response_headers: list[tuple[bytes, bytes]] = []  # what `finalize_headers` adds
        if said.get("connection") == "close":
            self.close_connection = True
        elif self.request_version == "HTTP/1.0" and "connection" not in said:
            self._head += b"Connection: close\r\n" if self.close_connection else b"Connection: keep-alive\r\n"
        return self.write

    def _write_with_headers(self, data: bytes) -> None:
        """A small body leaves in one piece with its headers: a second send would cost a third of a GET."""
        self.headers_sent = True
        self.finalize_headers()
        added = [b"%b: %b\r\n" % pair for pair in self.response_headers]
        date = b"" if self.provided_date else _date_line(int(time.time()))
        beginning = b"".join((self._head, date, *added, b"\r\n"))
        if self.response_use_chunked or len(data) > ONE_PIECE_BYTES:
            self._sendall(beginning)
            self._write(data)
        else:
            self._sendall(beginning + data)

    def _sendall(self, data: bytes | bytearray) -> None:
        """Most answers fit into the socket; only the rest of one that doesn't has to wait for room. What TLS
        has begun to write must come again no shorter: gevent's pieces are longer than ours."""
        rest: bytes | bytearray | memoryview = data if len(data) <= PUSH_BYTES else memoryview(data)
        while rest:
            piece = rest[:PUSH_BYTES]
            taken = self.connection.push(piece)
            self.response_length += taken
            rest = rest[taken:]
            if taken < len(piece):
                super()._sendall(rest)
                return

    def run_application(self) -> None:
        try:
            self.result = self.application(self.environ, self.start_response)
            if self.connection.taken:
                self._leave()
            else:
                self.process_result()
        finally:
            close = getattr(self.result, "close", None)
            self.result = None
            if close is not None:
                close()
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


@lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    """Made once a second."""
    return b"Date: %b\r\n" % pywsgi.format_date_time(second)
