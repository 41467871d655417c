"""exec and its like through the API process: the request as the node gets it, bytes both ways, and every way
to end."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from integration import api_process
from integration.api_agent import agent
from integration.api_process import ApiProcess

from mini8s.api import splice

PODS = "/api/v1/namespaces/default/pods"
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api")) as running:
        for name, node in (("web", "n1"), ("unbound", "")):
            spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
            assert running.ask("POST", PODS, {"metadata": {"name": name}, "spec": spec})[0] == 201
        yield running


def ask(api: ApiProcess, path: str, *, secure: bool = True, headers: str = UPGRADE) -> Any:
    """A connection on which that was asked."""
    sock = api.secure() if secure else api.unix()
    sock.settimeout(60)
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    return sock


def read_all(sock: Any) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def test_the_node_gets_the_request_and_the_client_its_bytes(api: ApiProcess) -> None:
    asked: list[str] = []

    def answer(sock: socket.socket, line: str) -> None:
        asked.append(line)
        sock.sendall(AGREED + b"ready ")
        sock.sendall(sock.recv(100).upper())

    with agent(api, answer):
        path = f"{PODS}/web/exec?command=echo&command=a%20b%26c&stdin=true&stdout=1&follow=1"
        sock = ask(api, path)
        assert sock.recv(1000).startswith(AGREED[:30])
        sock.sendall(b"abc")
        assert read_all(sock).endswith(b"ABC")
        sock.close()
    assert asked == ["POST /exec/default/web/c?command=echo&command=a+b%26c&stdin=true&stdout=1 HTTP/1.1"]


@pytest.mark.parametrize("secure", [False, True])
def test_what_the_node_says_last_arrives_though_the_client_still_talks(api: ApiProcess, secure: bool) -> None:
    last = bytes(3_000_000)

    def answer(sock: socket.socket, _line: str) -> None:
        sock.sendall(AGREED + last)
        socket.socket.shutdown(sock, socket.SHUT_WR)  # below TLS, which could not be read then
        while sock.recv(1 << 16):
            pass

    with agent(api, answer):
        sock = ask(api, f"{PODS}/web/attach?stdin=true&stdout=true", secure=secure)
        said = sock.recv(1000)
        sock.sendall(bytes(100_000))
        assert said + read_all(sock) == AGREED + last
        sock.close()


@pytest.mark.parametrize("secure", [False, True])
def test_a_client_that_leaves_frees_the_node(api: ApiProcess, secure: bool) -> None:
    freed = threading.Event()

    def answer(sock: socket.socket, _line: str) -> None:
        sock.sendall(AGREED)
        while sock.recv(1000):
            pass
        freed.set()

    with agent(api, answer):
        sock = ask(api, f"{PODS}/web/portforward", secure=secure)
        assert sock.recv(1000)
        sock.close()
        assert freed.wait(60)


def test_a_client_that_leaves_while_the_node_reads_nothing_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splice, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(splice, "LINGER_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        leaver = socket.create_connection(listener.getsockname())
        client, _ = listener.accept()
    node, silent = socket.socketpair()
    node.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    passing = threading.Thread(target=splice.splice, args=(client, node))
    with client, node, silent:
        passing.start()
        leaver.sendall(bytes(40_000))  # more than the node's socket takes, and little enough to arrive
        passing.join(0.2)
        assert passing.is_alive()
        leaver.close()
        passing.join(60)
        assert not passing.is_alive()


def test_a_refusal_is_passed_on_as_it_is(api: ApiProcess) -> None:
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n"
    with agent(api, lambda sock, _line: sock.sendall(refusal)):
        sock = ask(api, f"{PODS}/web/exec?command=x&stdout=true")
        assert read_all(sock) == refusal
        sock.close()


@pytest.mark.parametrize(
    ("path", "headers", "status", "message"),
    [
        ("web/exec?command=x", "", b"400", b"Upgrade request required"),
        ("web/exec?command=x&container=y", UPGRADE, b"400", b"container y is not valid for pod web"),
        ("unbound/attach?stdout=1", UPGRADE, b"400", b"pod unbound does not have a host assigned"),
        ("nowhere/portforward", UPGRADE, b"404", b'pods \\"nowhere\\" not found'),
        ("web/exec?command=x", UPGRADE, b"503", b'node \\"n1\\" did not answer: it hung up'),
    ],
)
def test_refusals(api: ApiProcess, path: str, headers: str, status: bytes, message: bytes) -> None:
    with agent(api, lambda _sock, _line: None):
        sock = ask(api, f"{PODS}/{path}", headers=headers + "Connection: close\r\n" * (not headers))
        head = sock.recv(4096)
        sock.close()
    assert head.split()[1] == status
    assert message in head


def test_others_are_served_while_much_passes_by(api: ApiProcess) -> None:
    over = threading.Event()

    def answer(sock: socket.socket, _line: str) -> None:
        sock.sendall(AGREED)
        while not over.is_set():
            sock.sendall(bytes(1 << 16))

    with agent(api, answer):
        sock = ask(api, f"{PODS}/web/exec?command=x&stdout=true")
        reader = threading.Thread(target=read_all, args=(sock,))
        reader.start()
        began = time.monotonic()
        for _ in range(20):
            assert api.ask("GET", f"{PODS}/web")[0] == 200
        assert time.monotonic() - began < 60
        over.set()
        reader.join(60)
        sock.close()


@pytest.mark.parametrize("path", ["/v1-mini8s/tunnel?node=n1", f"{PODS}/web/log?follow=true"])
def test_who_leaves_before_the_answer_begins_harms_nobody(api: ApiProcess, path: str) -> None:
    opened, freed = threading.Semaphore(0), threading.Semaphore(0)

    def answer(sock: socket.socket, _line: str) -> None:
        opened.release()
        time.sleep(0.02)
        try:
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            read_all(sock)
        finally:
            freed.release()

    with agent(api, answer):
        for _ in range(20):
            sock = api.secure("node" if "tunnel" in path else "admin")
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if "log" in path:
                assert opened.acquire(timeout=60)
            sock.close()
        for _ in range(20 if "log" in path else 0):
            assert freed.acquire(timeout=60)
    assert api.ask("GET", f"{PODS}/web")[0] == 200
