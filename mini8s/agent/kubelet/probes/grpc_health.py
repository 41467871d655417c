"""The gRPC health protocol (grpc.health.v1.Health/Check), asked once over a connection of its own.

One unary call is a few HTTP/2 frames: framing, flow control and header compression are h2's, which is small
and pure Python; grpcio would be 19 MB of compiled code. The two messages have one field each, so they are
written and read here. Answers are worded as upstream's prober words them (`pkg/probe/grpc/grpc.go`).
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

PATH = "/grpc.health.v1.Health/Check"
AGENT = "kube-probe/1.33"
MOST_ANSWER = 64 * 1024  # a health answer has two bytes
RETRY_SECONDS = 0.1
SERVING = 1
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
UNIMPLEMENTED = "12"
DEADLINE_EXCEEDED = "4"
CODES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists",
    "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented",
    "Internal", "Unavailable", "DataLoss", "Unauthenticated",
)  # fmt: skip


@dataclass(slots=True)
class _Answer:
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    over: bool = False


def check(host: str, port: int, service: str, seconds: float) -> str:
    """What is wrong with the service, "" when it serves."""
    end = time.monotonic() + seconds
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    sock = _connect(host, port, end)
    if sock is None:
        return (
            f'timeout: failed to connect service "{address}" within {seconds:g}s: context deadline exceeded'
        )
    with sock:
        try:
            answer = _call(sock, address, service, end)
        except TimeoutError:
            return f"timeout: health rpc did not complete within {seconds:g}s"
        except (OSError, H2Error) as error:
            return f"error: health rpc probe failed: {_rpc('14', str(error) or type(error).__name__)}"
    return _judged(answer, seconds)


def _connect(host: str, port: int, end: float) -> socket.socket | None:
    """Tried again until the time is up, as gRPC's own client does; None when nobody takes the connection."""
    while (left := end - time.monotonic()) > 0:
        try:
            return socket.create_connection((host, port), timeout=left)
        except OSError:
            time.sleep(min(RETRY_SECONDS, max(0.0, end - time.monotonic())))
    return None


def _call(sock: socket.socket, address: str, service: str, end: float) -> _Answer:
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    headers = [
        (":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", address),
        ("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", AGENT),
    ]  # fmt: skip
    connection.send_headers(1, headers)
    connection.send_data(1, _request(service), end_stream=True)
    answer = _Answer()
    while not answer.over:
        _patience(sock, end)
        sock.sendall(connection.data_to_send())
        _patience(sock, end)
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        for event in connection.receive_data(data):
            _take(answer, event, connection)
    return answer


def _patience(sock: socket.socket, end: float) -> None:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def _take(answer: _Answer, event: Event, connection: H2Connection) -> None:
    if isinstance(event, ResponseReceived | TrailersReceived):
        answer.headers |= {str(name): str(value) for name, value in event.headers or ()}
    elif isinstance(event, DataReceived) and event.data:
        answer.body += event.data
        connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        if len(answer.body) > MOST_ANSWER:
            raise ConnectionError("the answer is too long for a health answer")
    elif isinstance(event, StreamEnded):
        answer.over = True
    elif isinstance(event, StreamReset | ConnectionTerminated):
        raise ConnectionError(f"the server ended the call with code {event.error_code}")


def _request(service: str) -> bytes:
    """HealthCheckRequest{service = 1}, in gRPC's five-byte frame."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return out + bytes((number,))


def _judged(answer: _Answer, seconds: float) -> str:
    code = answer.headers.get("grpc-status", "")
    message = unquote(answer.headers.get("grpc-message", ""))
    if answer.headers.get(":status") != "200":
        code, message = (
            "2",
            f"unexpected HTTP status code received from server: {answer.headers.get(':status')}",
        )
    if code == UNIMPLEMENTED:
        protocol = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        return f"error: {protocol}: {message}"
    if code == DEADLINE_EXCEEDED:
        return f"timeout: health rpc did not complete within {seconds:g}s"
    if code != "0":
        return f"error: health rpc probe failed: {_rpc(code, message)}"
    status = _status(answer.body[5:])
    return "" if status == SERVING else f'service unhealthy (responded with "{STATUSES.get(status, status)}")'


def _rpc(code: str, message: str) -> str:
    name = CODES[int(code)] if code.isdigit() and int(code) < len(CODES) else f"Code({code})"
    return f"rpc error: code = {name} desc = {message}"


def _status(message: bytes) -> int:
    """HealthCheckResponse{status = 1}: a varint, and 0 is not written."""
    if message[:1] != b"\x08":
        return 0
    number = 0
    for place, byte in enumerate(message[1:]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return number
