"""The agent's end of the proxy: what it dials, and bytes both ways until either side has said all."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mini8s.agent.kubelet.serving.dialling import HEAD, Dials
from mini8s.agent.streams.duct import Duct
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import Obj
from mini8s.wire import tls

LOOPBACK = "127.0.0.1"


def pod_of(_namespace: str, name: str) -> Obj | None:
    return {"status": {"podIP": LOOPBACK if name == "web" else ""}} if name in {"web", "new"} else None


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(60)

        def accept() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(60)
                serve(sock)

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)


@contextmanager
def connected(port: int, *, secure: bool = False) -> Iterator[socket.socket]:
    """The server's end of a connection to the pod."""
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    agreed = Dials(pod_of, lambda: LOOPBACK).pod("default", "web", str(port), secure=secure)
    assert agreed.head == HEAD
    client = Duct(theirs, b"begun ")
    thread = threading.Thread(target=agreed.run, args=(client,))
    thread.start()
    with ours:
        yield ours
    thread.join(60)
    assert not thread.is_alive()
    client.close()


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(1 << 16):
        data += piece
    return data


def test_bytes_go_both_ways_and_the_last_ones_arrive() -> None:
    last = bytes(5_000_000)

    def serve(sock: socket.socket) -> None:
        assert sock.recv(100) == b"begun "
        sock.sendall(last)

    ended = threading.Event()
    with listening(serve) as port, connected(port) as sock:
        found = b""
        while len(found) < len(last):
            found += sock.recv(1 << 16)
        ended.set()
    assert found == last


def test_a_client_that_leaves_ends_it_though_nobody_reads() -> None:
    over = threading.Event()

    def serve(sock: socket.socket) -> None:
        assert over.wait(60)  # and reads nothing
        with pytest.raises(ConnectionError):
            sock.sendall(bytes(64 << 20))

    with listening(serve) as port, connected(port) as sock:
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(64 << 20))
        sock.close()
        over.set()


def test_a_target_that_resets_still_lets_its_last_words_through() -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"bye")  # "begun " stays unread, so that the close is a reset

    with listening(serve) as port, connected(port) as sock:
        assert sock.recv(100) in {b"bye", b""}  # a reset may overtake what is still under way


def test_tls_is_not_verified(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    pair = tls.issue(tls.new_ca("its own", now), tls.Leaf("other", addresses=("other",)), now)
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")

    def serve(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secure:
            secure.sendall(secure.recv(100).upper())

    with listening(serve) as port, connected(port, secure=True) as sock:
        assert sock.recv(100) == b"BEGUN "


@pytest.mark.parametrize(
    ("name", "port", "message"),
    [
        ("web", "0", "address not allowed"),
        ("web", "http", "address not allowed"),
        ("web", "²", "address not allowed"),
        ("new", "80", "address not allowed"),
        ("gone", "80", 'pods "gone" not found'),
        ("web", "1", "dial tcp 127.0.0.1:1: connect: connection refused"),
    ],
)
def test_refusals(name: str, port: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        Dials(pod_of, lambda: LOOPBACK).pod("default", name, port, secure=False)
    assert refused.value.message == message
