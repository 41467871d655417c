"""RFC 6455, the client's half, for exec: messages to and from the API over a connection of their own.

The library of the other requests hands no connection over after an upgrade, so this one is made here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from mini8s.client.transport import CONNECT_SECONDS, Endpoint
from mini8s.objects.errors import ApiError, ServiceUnavailable, from_status
from mini8s.wire import codec

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_FINAL, _MASKED = 0x80, 0x80
_MOST_HEAD = 65_536
_CHUNK = 65_536


class WebSocket:
    """One thread reads messages, any thread sends."""

    def __init__(self, sock: socket.socket, begun: bytes) -> None:
        self._sock = sock
        self._read = bytearray(begun)
        # a frame is written in one go; a signal's handler may send in the midst of its own thread's sending
        self._lock = threading.RLock()

    def send(self, message: bytes) -> None:
        """Raises OSError."""
        self._send(_BINARY, message)

    def messages(self) -> Iterator[bytes]:
        """Until either side closes."""
        message = b""
        while (frame := self._frame()) is not None:
            final, opcode, payload = frame
            if opcode == _CLOSE:
                return
            if opcode == _PING:
                self._send(_PONG, payload)
            elif opcode != _PONG:
                message += payload
                if final:
                    yield message
                    message = b""

    def close(self) -> None:
        self._sock.close()

    def _send(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        if length < 126:
            head = bytes((_FINAL | opcode, _MASKED | length))
        elif length < 1 << 16:
            head = struct.pack(">BBH", _FINAL | opcode, _MASKED | 126, length)
        else:
            head = struct.pack(">BBQ", _FINAL | opcode, _MASKED | 127, length)
        mask = os.urandom(4)
        with self._lock:
            self._sock.sendall(head + mask + _masked(payload, mask))

    def _frame(self) -> tuple[bool, int, bytes] | None:
        """None when the connection ends."""
        head = self._take(2)
        if len(head) < 2:
            return None
        length = head[1] & 127
        if length >= 126:
            length = int.from_bytes(self._take(2 if length == 126 else 8))
        payload = self._take(length)
        return bool(head[0] & _FINAL), head[0] & 15, payload

    def _take(self, length: int) -> bytes:
        while len(self._read) < length:
            data = self._sock.recv(_CHUNK)
            if not data:
                break
            self._read += data
        taken = bytes(self._read[:length])
        del self._read[:length]
        return taken


def connect(endpoint: Endpoint, target: str, protocol: str, *, user_agent: str) -> WebSocket:
    """Raises ServiceUnavailable, and what the server refuses."""
    try:
        sock = _connected(endpoint)
    except OSError as error:
        raise ServiceUnavailable(
            f"cannot reach the server at {endpoint}: {error.strerror or error}"
        ) from error
    try:
        return _upgraded(sock, endpoint, target, protocol, user_agent)
    except (OSError, ApiError):
        sock.close()
        raise


def _connected(endpoint: Endpoint) -> socket.socket:
    if endpoint.unix_socket:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            plain.connect(endpoint.unix_socket)
        except OSError:
            plain.close()
            raise
        return plain
    url = urlsplit(endpoint.url)
    context = ssl.create_default_context(cafile=endpoint.ca_file or None)
    if endpoint.cert_file:
        context.load_cert_chain(endpoint.cert_file, endpoint.key_file)
    plain = socket.create_connection((url.hostname or "", url.port or 443), CONNECT_SECONDS)
    try:
        found = context.wrap_socket(plain, server_hostname=url.hostname)
    except OSError:
        plain.close()
        raise
    found.settimeout(None)
    return found


def _upgraded(
    sock: socket.socket, endpoint: Endpoint, target: str, protocol: str, user_agent: str
) -> WebSocket:
    key = base64.b64encode(os.urandom(16)).decode()
    base = "" if endpoint.unix_socket else urlsplit(endpoint.url).path.rstrip("/")
    lines = [
        f"GET {base}{target} HTTP/1.1",
        f"Host: {urlsplit(endpoint.url).netloc or 'mini8s'}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {protocol}",
        f"User-Agent: {user_agent}",
        *([f"Authorization: Bearer {endpoint.token}"] if endpoint.token else []),
    ]
    sock.sendall("\r\n".join((*lines, "", "")).encode())
    head, rest = _head(sock)
    status, *headers = head.decode("latin-1").split("\r\n")
    said = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in headers)}
    code = int(status.split()[1]) if len(status.split()) > 1 else 0
    if code != 101:
        raise _refused(sock, code, said, rest)
    wanted = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324 - the RFC's
    if said.get("sec-websocket-accept") != wanted or said.get("sec-websocket-protocol") != protocol:
        raise ServiceUnavailable(f"what answers at {endpoint} does not speak {protocol}")
    return WebSocket(sock, rest)


def _head(sock: socket.socket) -> tuple[bytes, bytes]:
    read = b""
    while b"\r\n\r\n" not in read and len(read) < _MOST_HEAD:
        data = sock.recv(_CHUNK)
        if not data:
            break
        read += data
    head, _, rest = read.partition(b"\r\n\r\n")
    return head, rest


def _refused(sock: socket.socket, code: int, headers: dict[str, str], body: bytes) -> ApiError:
    length = headers.get("content-length", "0")
    while length.isdigit() and len(body) < int(length) and (data := sock.recv(_CHUNK)):
        body += data
    try:
        status = codec.decode_json(body)
    except ApiError:
        status = {"message": body.decode(errors="replace").strip()[:200]}
    return from_status(status if isinstance(status, dict) else {}, code or 500)


def _masked(data: bytes, mask: bytes) -> bytes:
    """Every fourth byte has the same mask."""
    found = bytearray(data)
    for place in range(4):
        table = bytes(byte ^ mask[place] for byte in range(256))
        found[place::4] = found[place::4].translate(table)
    return bytes(found)
