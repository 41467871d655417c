"""The agent's tunnel against a server of a few lines: ids come in, upgraded connections come back, and a lost
tunnel is dialled again."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from mini8s.agent.kubelet.serving.streams import read_head
from mini8s.agent.tunnel import Tunnel
from mini8s.client.transport import Endpoint
from mini8s.util.workers import Stop
from tests.integration.small_hosts import eventually

ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """Accepts by hand, so that a test decides what happens when."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(60)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> tuple[socket.socket, bytes]:
        """The next connection and its request's head."""
        sock, _ = self.listener.accept()
        sock.settimeout(60)
        return sock, read_head(sock)[0]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.listener.close()


@pytest.fixture
def stop(server: Server) -> Iterator[Stop]:
    made = Stop()

    def serve(sock: socket.socket, begun: bytes) -> None:
        with sock:
            head, _ = read_head(sock, begun)
            sock.sendall(b"answer to " + head.split(b"\r\n")[0])

    tunnel = Tunnel(Endpoint(url=server.url, token="t"), "n 1", serve, made)
    tunnel.start()
    yield made
    made.set()
    tunnel.stop()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_streams_are_opened_on_demand(server: Server, stop: Stop) -> None:
    held, head = server.accept()
    with held:
        assert head.startswith(b"GET /v1-mini8s/tunnel?node=n%201 HTTP/1.1")
        assert b"Authorization: Bearer t" in head
        held.sendall(ANSWER + chunk(b"\n") + chunk(b'{"id": "ab'))
        held.sendall(chunk(b'12"}\n'))
        stream, head = server.accept()
        with stream:
            assert head.startswith(b"POST /v1-mini8s/tunnel/ab12 HTTP/1.1\r\n")
            assert b"Upgrade: mini8s-tunnel" in head
            upgraded = (
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mini8s-tunnel\r\n\r\n"
            )
            stream.sendall(upgraded + b"GET /containerLogs/a/b/c HTTP/1.1\r\n\r\n")
            assert stream.recv(4096) == b"answer to GET /containerLogs/a/b/c HTTP/1.1"
            assert stream.recv(4096) == b""


def test_a_lost_tunnel_is_dialled_again(server: Server, stop: Stop) -> None:
    for _ in range(2):
        held, _ = server.accept()
        held.close()
    refused, _ = server.accept()
    with refused:
        refused.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    held, _ = server.accept()
    held.close()


def test_a_stream_that_is_refused_harms_nobody(
    server: Server, stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    held, _ = server.accept()
    with held:
        held.sendall(ANSWER + chunk(b'{"id": "1"}\n'))
        refused, _ = server.accept()
        with refused:
            refused.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        held.sendall(chunk(b'{"id": "2"}\n'))
        again, head = server.accept()
        again.close()
        assert b"/v1-mini8s/tunnel/2 " in head
        for number in (1, 2):  # else the next test hears of it
            eventually(lambda number=number: f"stream {number} could not be opened" in caplog.text)


def test_a_certificate_that_cannot_be_read_is_waited_for(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = Endpoint(url=server.url.replace("http:", "https:"), ca_file="/no/where")
    tunnel = Tunnel(endpoint, "n1", lambda sock, _: sock.close(), Stop())
    with caplog.at_level("INFO"):
        assert tunnel.step() > 0
    assert [record.getMessage() for record in caplog.records] == [
        "tunnel: [Errno 2] No such file or directory"
    ]
