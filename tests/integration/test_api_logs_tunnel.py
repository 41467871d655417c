"""pods/log from a client to a node's agent and back: the API process, and the agent's own tunnel."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from integration import api_process
from integration.api_agent import agent
from integration.api_process import ApiProcess

PODS = "/api/v1/namespaces/default/pods"
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api")) as running:
        for name, node in (("web", "n1"), ("away", "n2"), ("unbound", "")):
            spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
            assert running.ask("POST", PODS, {"metadata": {"name": name}, "spec": spec})[0] == 201
        yield running


def test_a_log_comes_from_the_pods_node(api: ApiProcess) -> None:
    asked: list[str] = []

    def answer(sock: socket.socket, line: str) -> None:
        asked.append(line)
        sock.sendall(OK + b"Content-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n")

    with agent(api, answer):
        status, text = api.ask("GET", f"{PODS}/web/log?tailLines=5&timestamps=true&container=c")
    assert (status, text) == (200, "hello\n")
    assert asked == ["GET /containerLogs/default/web/c?timestamps=true&tailLines=5 HTTP/1.1"]


def test_following_sends_headers_and_lines_at_once(api: ApiProcess) -> None:
    more = threading.Event()

    def answer(sock: socket.socket, _line: str) -> None:
        sock.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        assert more.wait(60)
        sock.sendall(b"4\r\none\n\r\n")
        time.sleep(0.2)
        sock.sendall(b"4\r\ntwo\n\r\n0\r\n\r\n")

    with agent(api, answer):
        connection = http.client.HTTPConnection("api")
        connection.sock = api.secure()
        connection.request("GET", f"{PODS}/web/log?follow=true")
        response = connection.getresponse()  # the headers, while there is nothing to say yet
        more.set()
        assert response.readline() == b"one\n"
        assert response.read() == b"two\n"
        connection.close()


@pytest.mark.parametrize("secure", [False, True])
def test_a_client_that_leaves_frees_the_node(api: ApiProcess, secure: bool) -> None:
    freed = threading.Event()

    def answer(sock: socket.socket, _line: str) -> None:
        sock.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        while sock.recv(100):
            pass
        freed.set()

    with agent(api, answer):
        connection = http.client.HTTPConnection("api")
        connection.sock = api.secure() if secure else api.unix()
        connection.request("GET", f"{PODS}/web/log?follow=true")
        response = connection.getresponse()
        response.close()
        connection.close()
        assert freed.wait(60)


@pytest.mark.parametrize(
    ("answer", "status", "message"),
    [
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 17\r\n\r\nit is not started",
            400,
            "it is not started",
        ),
        (
            b'HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{"reason": "NotFound", "message": "gone"}',
            404,
            "gone",
        ),
        (b"", 503, 'node "n1" did not answer: Remote end closed connection without response'),
    ],
)
def test_a_nodes_refusal_is_the_clients(api: ApiProcess, answer: bytes, status: int, message: str) -> None:
    with agent(api, lambda sock, _line: sock.sendall(answer)):
        found, said = api.ask("GET", f"{PODS}/web/log")
    assert (found, said["message"]) == (status, message)


def test_a_node_that_is_away_is_named(api: ApiProcess) -> None:
    began = time.monotonic()
    status, said = api.ask("GET", f"{PODS}/away/log")
    assert status == 503
    assert said["message"] == 'node "n2" cannot be reached: its agent is not connected to the server'
    assert time.monotonic() - began < 30


def test_a_pod_without_a_node_has_no_log(api: ApiProcess) -> None:
    assert api.ask("GET", f"{PODS}/unbound/log") == (204, "")


def test_no_node_speaks_for_another(api: ApiProcess) -> None:
    assert api.ask("GET", "/v1-mini8s/tunnel?node=n1", user="other-node")[0] == 403
    assert api.ask("GET", "/v1-mini8s/tunnel?node=n1", user="jane")[0] == 403


def test_a_new_tunnel_takes_the_place_of_a_dead_one(api: ApiProcess) -> None:
    dead = api.secure("node")  # nobody reads from it: the cable is out
    dead.sendall(b"GET /v1-mini8s/tunnel?node=n1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert dead.recv(15) == b"HTTP/1.1 200 OK"
    with agent(api, lambda sock, _line: sock.sendall(OK + b"Content-Length: 2\r\n\r\nhi")):
        until = time.monotonic() + 10
        while (found := api.ask("GET", f"{PODS}/web/log"))[0] == 503 and time.monotonic() < until:
            pass
    dead.close()
    assert found == (200, "hi")
