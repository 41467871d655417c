"""gRPC probes against gRPC's own server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mini8s.agent.kubelet.probes import grpc_health

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Its own health is well, that of `ill` is not, and it knows a service with a long name."""
    server, found = _server()
    servicer = health.HealthServicer()
    for name, status in {"": SERVING, "ill": NOT_SERVING, "l" * 300: SERVING}.items():
        servicer.set(name, status)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.start()
    yield found
    server.stop(0).wait()


def _server() -> tuple[grpc.Server, int]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    return server, server.add_insecure_port("127.0.0.1:0")


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("", ""),
        ("l" * 300, ""),
        ("ill", 'service unhealthy (responded with "NOT_SERVING")'),
        ("nobody", "error: health rpc probe failed: rpc error: code = NotFound desc = "),
    ],
)
def test_it_says_how_a_service_is(port: int, service: str, said: str) -> None:
    assert grpc_health.check("127.0.0.1", port, service, 5) == said


def test_a_server_without_the_protocol() -> None:
    server, port = _server()
    server.start()
    said = grpc_health.check("127.0.0.1", port, "", 5)
    server.stop(0).wait()
    protocol = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
    assert said == f"error: {protocol}: Method not found!"


def test_nobody_listens() -> None:
    said = grpc_health.check("127.0.0.1", 1, "", 0.2)
    assert said == ('timeout: failed to connect service "127.0.0.1:1" within 0.2s: context deadline exceeded')


@pytest.mark.parametrize(
    "words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"]
)
def test_what_is_no_grpc_server_is_no_trouble(words: bytes) -> None:
    """It says nothing, speaks HTTP/1, or stops after its settings."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        talker = threading.Thread(target=_talk, args=(server, words))
        talker.start()
        said = grpc_health.check("127.0.0.1", server.getsockname()[1], "", 0.3)
        talker.join()
    assert said.startswith(
        ("timeout: health rpc did not complete within 0.3s", "error: health rpc probe failed")
    )


def _talk(server: socket.socket, words: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(words)
        connection.settimeout(60)
        _drain(connection)


def _drain(connection: Any) -> None:
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return
