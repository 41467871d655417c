"""The proxy through the API process: what a backend gets, what the client gets, and every way to end."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from integration import api_process
from integration.api_agent import agent
from integration.api_process import ApiProcess

from mini8s.agent.kubelet.serving.streams import read_head

BASE = "/api/v1/namespaces/default/pods/web/proxy"
CONNECTED = b"HTTP/1.1 200 OK\r\n\r\n"
Backend = Callable[
    [socket.socket, bytes, bytes], None
]  # its connection, the request's head, what came of its body


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api")) as running:
        spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
        path = "/api/v1/namespaces/default/pods"
        assert running.ask("POST", path, {"metadata": {"name": "web"}, "spec": spec})[0] == 201
        merge = {"Content_Type": "application/merge-patch+json"}
        body = {"status": {"podIP": "10.42.0.5"}}
        assert running.ask("PATCH", f"{path}/web/status", body, **merge)[0] == 200
        assert running.ask("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}})[0] == 201
        yield running


def backend(serve: Backend, asked: list[str] | None = None) -> Callable[[socket.socket, str], None]:
    """An agent that connects, and what then listens at the other end."""

    def answer(sock: socket.socket, line: str) -> None:
        if asked is not None:
            asked.append(line)
        sock.sendall(CONNECTED)
        serve(sock, *read_head(sock))

    return answer


def say(text: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % len(text), b"", text])


def test_a_request_reaches_the_pod_as_it_was_sent(api: ApiProcess) -> None:
    asked: list[str] = []
    heads: list[bytes] = []

    def serve(sock: socket.socket, head: bytes, rest: bytes) -> None:
        heads.append(head)
        while len(rest) < 5:
            rest += sock.recv(100)
        sock.sendall(say(rest.upper(), b"Content-Type: text/x", b"X-Own: 1"))

    with agent(api, backend(serve, asked)):
        status, text = api.ask("PUT", f"{BASE}/a%2Fb//c?q=%20&r", "hello", user="admin", X_Mine="7")
    assert (status, text, asked) == (200, "HELLO", ["GET /connect/pods/default/web/80?scheme= HTTP/1.1"])
    line, *lines = heads[0].decode().split("\r\n")
    assert line == "PUT /a%2Fb//c?q=%20&r HTTP/1.1"
    assert {"X-Mine: 7", "Content-Length: 5", "Connection: close", "X-Forwarded-For: 127.0.0.1"} <= set(lines)
    assert f"X-Forwarded-Uri: {BASE}/a%2Fb//c" in lines


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "PATCH"])
def test_every_method_goes_through_and_the_connection_serves_the_next(api: ApiProcess, method: str) -> None:
    def serve(sock: socket.socket, head: bytes, _rest: bytes) -> None:
        assert head.startswith(f"{method} /x ".encode())
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n")
        sock.sendall(b"" if method == "HEAD" else b"ok")

    connection = http.client.HTTPConnection("api")
    connection.sock = api.secure()
    with agent(api, backend(serve)):
        for _ in range(2):
            connection.request(method, f"{BASE}/x")
            response = connection.getresponse()
            assert response.read() == (b"" if method == "HEAD" else b"ok")
            assert response.msg.get_all("Set-Cookie") == ["a", "b"]
    connection.close()


def test_bodies_stream_both_ways(api: ApiProcess) -> None:
    """Each piece is answered before the next is sent: nobody waits for a whole body."""

    def serve(sock: socket.socket, head: bytes, rest: bytes) -> None:
        assert b"Transfer-Encoding: chunked" in head
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        data = rest
        while not data.endswith(b"0\r\n\r\n"):
            data = data or sock.recv(1000)
            sock.sendall(data.upper())
            data = sock.recv(1000) if not data.endswith(b"0\r\n\r\n") else data
        sock.sendall(data.upper())

    with agent(api, backend(serve)):
        sock = api.secure()
        sock.sendall(f"POST {BASE}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        head, said = read_head(sock)
        assert b"Transfer-Encoding: chunked" in head
        for word in (b"one", b"two"):
            sock.sendall(b"3\r\n%b\r\n" % word)
            while word.upper() not in said:
                piece = sock.recv(1000)
                assert piece
                said += piece
        sock.sendall(b"0\r\n\r\n")
        while not said.endswith(b"0\r\n\r\n"):
            piece = sock.recv(1000)
            assert piece
            said += piece
        sock.close()


def test_large_bodies_arrive_whole(api: ApiProcess) -> None:
    size = 8_000_000  # more than the API takes for itself

    def serve(sock: socket.socket, _head: bytes, rest: bytes) -> None:
        count = len(rest)
        while count < size:
            count += len(sock.recv(1 << 16))
        sock.sendall(say(bytes(size)))

    with agent(api, backend(serve)):
        status, text = api.ask("POST", f"{BASE}/", bytes(size))
    assert (status, len(text)) == (200, size)


def test_an_answer_may_come_before_the_body_was_read(api: ApiProcess) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    with agent(api, backend(lambda sock, _head, _rest: sock.sendall(refusal))):
        sock = api.secure()
        sock.sendall(f"POST {BASE}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nabc".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 413")
        sock.close()


def test_an_upgrade_is_passed_on_as_bytes(api: ApiProcess) -> None:
    agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    def serve(sock: socket.socket, head: bytes, _rest: bytes) -> None:
        assert b"Connection: Upgrade\r\nUpgrade: websocket" in head
        assert b"Sec-Websocket-Key: k" in head
        sock.sendall(agreed)
        sock.sendall(sock.recv(100)[::-1])

    with agent(api, backend(serve)):
        sock = api.secure()
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"
        sock.sendall(f"GET {BASE}/ws HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n".encode())
        assert read_head(sock)[0].startswith(b"HTTP/1.1 101")
        sock.sendall(b"abc")
        assert sock.recv(100) == b"cba"
        sock.close()


def test_redirects(api: ApiProcess) -> None:
    connection = http.client.HTTPConnection("api")
    connection.sock = api.secure()
    connection.request("GET", f"{BASE}?a=b")
    response = connection.getresponse()
    assert (response.status, response.headers["Location"], response.read()) == (301, f"{BASE}/?a=b", b"")
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://10.42.0.5:80/login\r\nContent-Length: 0\r\n\r\n"
    with agent(api, backend(lambda sock, _head, _rest: sock.sendall(moved))):
        connection.request("GET", f"{BASE}/")
        assert connection.getresponse().headers["Location"] == f"{BASE}/login"
    connection.close()


def test_a_nodes_own_paths(api: ApiProcess) -> None:
    asked: list[str] = []

    def answer(sock: socket.socket, line: str) -> None:
        asked.append(line)
        sock.sendall(say(b"ok"))

    with agent(api, answer):
        assert api.ask("GET", "/api/v1/nodes/n1/proxy/stats/summary?only=1") == (200, "ok")
    assert asked == ["GET /stats/summary?only=1 HTTP/1.1"]


def test_who_cannot_be_reached_is_named(api: ApiProcess) -> None:
    body = (
        b'{"message": "dial tcp 10.42.0.5:80: connect: connection refused", "reason": "ServiceUnavailable"}'
    )
    refused = b"HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with agent(api, lambda sock, _line: sock.sendall(refused)):
        status, said = api.ask("GET", f"{BASE}/")
    assert (status, said["reason"]) == (503, "ServiceUnavailable")
    assert said["message"] == (
        "error trying to reach service: dial tcp 10.42.0.5:80: connect: connection refused"
    )
    with agent(api, backend(lambda _sock, _head, _rest: None)):
        status, said = api.ask("GET", f"{BASE}/")
    assert status == 503
    assert said["message"].startswith("error trying to reach service: ")


def test_an_answer_that_breaks_off_does_not_look_whole(api: ApiProcess) -> None:
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    with agent(api, backend(lambda sock, _head, _rest: sock.sendall(cut))):
        connection = http.client.HTTPConnection("api")
        connection.sock = api.secure()
        connection.request("GET", f"{BASE}/")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
        connection.close()


def test_a_client_that_leaves_frees_a_silent_backend(api: ApiProcess) -> None:
    began, freed = threading.Event(), threading.Event()

    def serve(sock: socket.socket, _head: bytes, _rest: bytes) -> None:
        began.set()
        while sock.recv(100):
            pass
        freed.set()

    with agent(api, backend(serve)):
        sock = api.secure()
        sock.sendall(f"GET {BASE}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert began.wait(60)
        sock.close()
        assert freed.wait(60)


def test_nobody_else_may(api: ApiProcess) -> None:
    status, said = api.ask("GET", f"{BASE}/", user="jane")
    assert status == 403
    assert 'User "jane" cannot get resource "pods/proxy" in API group ""' in said["message"]
