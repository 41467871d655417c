"""HTTP connections to the API server: TLS over TCP, or the server's unix socket. The one home of urllib3.

Two pools, so that a request never waits behind a watch. A peer that is gone without a word (a pulled cable)
is noticed by the kernel: keepalive probes, and a limit on how long sent bytes may stay unacknowledged.
"""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Timeout

from mini8s.objects.errors import ServiceUnavailable

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0  # a busy server on a small host may take long to list, but not this long
DEAD_AFTER_MS = 15_000  # how long a silent peer counts as alive
POOL_SIZE = 16  # connections kept; more may be open at once
CHUNK_BYTES = 65_536
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # more at once than are kept is as meant

_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER_MS),
]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API server is and how to prove who we are: either a URL, or the path of its unix socket."""

    url: str = ""
    unix_socket: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    token: str = ""

    def __str__(self) -> str:
        return self.unix_socket or self.url


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `headers` are the server's, their names in any case."""

    code: int
    headers: Mapping[str, str]
    body: bytes


class Stream:
    """A streaming answer: its bytes as they come. `close` ends it, from any thread."""

    def __init__(self, response: BaseHTTPResponse, endpoint: Endpoint) -> None:
        self.code = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._endpoint = endpoint
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks()
        except (HTTPError, OSError, ValueError) as error:
            # ValueError is how a TLS socket says that `close` pulled it from under the read
            if not self._closed:
                raise _unreachable(self._endpoint, error) from error
        finally:
            self._response.close()

    def read(self) -> bytes:
        return b"".join(self)

    def close(self) -> None:
        self._closed = True
        try:
            self._response.shutdown()
        except (RuntimeError, ValueError, OSError):
            self._response.close()  # it had ended already, there is no reader to wake

    def _chunks(self) -> Iterator[bytes]:
        if self._response.chunked:
            yield from self._response.stream(None)
            return
        while data := self._response.read1(CHUNK_BYTES):
            yield data


class Transport:
    """Sends requests; safe for many threads. Error answers are not raised here: `client.rest` reads them."""

    def __init__(self, endpoint: Endpoint, *, user_agent: str) -> None:
        self.endpoint = endpoint
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if endpoint.token:
            self._headers["Authorization"] = f"Bearer {endpoint.token}"
        self._pool = _pool(endpoint)
        self._streams = _pool(endpoint)
        self._base = "" if endpoint.unix_socket else urlsplit(endpoint.url).path.rstrip("/")

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """One request and its whole answer. A GET whose kept-alive connection the server had just closed is
        sent once more."""
        try:
            return self._send(method, target, body, headers)
        except ProtocolError as error:
            if method != "GET":
                raise _unreachable(self.endpoint, error) from error
        except HTTPError as error:
            raise _unreachable(self.endpoint, error) from error
        try:
            return self._send(method, target, body, headers)
        except HTTPError as error:
            raise _unreachable(self.endpoint, error) from error

    def stream(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], idle_seconds: float
    ) -> Stream:
        """A request whose answer is read as it comes; lost when nothing comes for `idle_seconds`."""
        try:
            response = self._streams.urlopen(
                method,
                self._base + target,
                body=body,
                headers={**self._headers, **headers},
                retries=False,
                redirect=False,
                timeout=Timeout(connect=CONNECT_SECONDS, read=idle_seconds),
                preload_content=False,
            )
        except HTTPError as error:
            raise _unreachable(self.endpoint, error) from error
        return Stream(response, self.endpoint)

    def close(self) -> None:
        self._pool.close()
        self._streams.close()

    def _send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        response = self._pool.urlopen(
            method,
            self._base + target,
            body=body,
            headers={**self._headers, **headers},
            retries=False,
            redirect=False,
            timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )
        return Answer(response.status, response.headers, response.data)


class _OnePiece(HTTPConnection):
    """Sends a request's head and body together: who gets one without the other has to wait for it."""

    _held: bytearray | None = None

    def request(self, method: str, url: str, *args: Any, **keywords: Any) -> None:
        self._held = bytearray()
        try:
            super().request(method, url, *args, **keywords)
        finally:
            data, self._held = bytes(self._held), None
        self.send(data)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held += data


class _TlsConnection(_OnePiece, HTTPSConnection):
    """The same over TLS."""


class _UnixConnection(_OnePiece):
    """A connection whose peer is a path."""

    def __init__(self, host: str, *, path: str, **keywords: Any) -> None:
        super().__init__(host, **keywords)
        self._path = path

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # not a time-out of Python's: a connect that may not block fails at once while the backlog is full
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(CONNECT_SECONDS), 0))
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            raise ProtocolError(str(error)) from error
        return sock


class _UnixPool(HTTPConnectionPool):
    ConnectionCls = _UnixConnection


class _TcpPool(HTTPConnectionPool):
    ConnectionCls = _OnePiece


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _pool(endpoint: Endpoint) -> HTTPConnectionPool:
    if endpoint.unix_socket:
        return _UnixPool("mini8s", maxsize=POOL_SIZE, path=endpoint.unix_socket)
    url = urlsplit(endpoint.url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError(f'"{endpoint.url}" is no URL of a server such as https://server:6443')
    if url.scheme == "http":
        return _TcpPool(url.hostname, url.port or 80, maxsize=POOL_SIZE, socket_options=_SOCKET_OPTIONS)
    return _TlsPool(
        url.hostname,
        url.port or 443,
        maxsize=POOL_SIZE,
        socket_options=_SOCKET_OPTIONS,
        ca_certs=endpoint.ca_file or None,
        cert_file=endpoint.cert_file or None,
        key_file=endpoint.key_file or None,
        cert_reqs="CERT_REQUIRED",
    )


def _unreachable(endpoint: Endpoint, error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"cannot reach the server at {endpoint}: {_reason(error)}")


def _reason(error: Exception) -> str:
    """The system's own words at the bottom of the chain, without the library's around them."""
    for found in _chain(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {found.verify_message}"
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
    late = isinstance(error, ReadTimeoutError | ConnectTimeoutError)
    return "timed out" if late else str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
