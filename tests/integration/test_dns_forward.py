"""Names of the world outside: asked of the host's servers, in their order, and remembered for a while."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import QTYPE, RR, A, DNSRecord

from mini8s.agent.dns.forward import Forwarder, HostServers
from tests.integration.small_hosts import DNS, OUTSIDE, SmallHost, small_hosts


@pytest.fixture(scope="module")
def host() -> Iterator[SmallHost]:
    with small_hosts() as hosts:
        yield hosts[0]


class NameServer:
    """Answers any A question, counts them, can be silent or lie."""

    def __init__(self, sock: socket.socket) -> None:
        self.asked = 0
        self.silent = False
        self.lies = False
        self._socket = sock
        sock.settimeout(0.1)

    def serve(self, done: threading.Event) -> None:
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                data, peer = self._socket.recvfrom(2048)
                self.asked += 1
                if self.silent:
                    continue
                if self.lies:
                    self._socket.sendto(bytes((data[0] ^ 1, data[1])) + data[2:], peer)
                    self._socket.sendto(bytes(DNSRecord.question("other.example").reply().pack()), peer)
                reply = DNSRecord.parse(data).reply(aa=0, ra=1)
                reply.add_answer(RR(reply.q.qname, QTYPE.A, rdata=A("203.0.113.7"), ttl=20))
                self._socket.sendto(bytes(reply.pack()), peer)


@pytest.fixture
def outside(host: SmallHost) -> Iterator[NameServer]:
    def bind() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((OUTSIDE, 53))
        return sock

    sock = host.outside.do(bind)
    server, done = NameServer(sock), threading.Event()
    thread = threading.Thread(target=server.serve, args=(done,))
    thread.start()
    yield server
    done.set()
    thread.join()
    sock.close()


def ask(host: SmallHost, name: str) -> DNSRecord:
    def exchange() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(6)
            sock.connect((DNS, 53))
            sock.send(bytes(DNSRecord.question(name).pack()))
            return sock.recv(2048)

    return DNSRecord.parse(host.do(exchange))


def test_a_name_outside_is_asked_once(host: SmallHost, outside: NameServer) -> None:
    for _ in range(5):
        assert str(ask(host, "once.example").rr[0].rdata) == "203.0.113.7"
    assert outside.asked == 1


def test_answers_to_other_questions_are_not_taken(host: SmallHost, outside: NameServer) -> None:
    outside.lies = True
    reply = ask(host, "lies.example")
    assert str(reply.q.qname) == "lies.example."
    assert str(reply.rr[0].rdata) == "203.0.113.7"


def test_silence_is_a_failure_in_time(host: SmallHost, outside: NameServer) -> None:
    outside.silent = True
    began = time.monotonic()
    assert ask(host, "silent.example").header.rcode == 2
    assert time.monotonic() - began < 5


def test_a_silent_server_is_asked_last(host: SmallHost, outside: NameServer) -> None:
    forwarder = Forwarder(lambda: ["10.99.0.250", OUTSIDE])
    query = bytes(DNSRecord.question("failover.example").pack())
    assert host.do(forwarder.ask, query)
    began = time.monotonic()
    assert host.do(forwarder.ask, bytes(DNSRecord.question("second.example").pack()))
    assert time.monotonic() - began < 1


def test_a_query_that_comes_back_is_a_circle(host: SmallHost) -> None:
    """The host's own resolv.conf names a server that sends everything back here."""
    circle = threading.Event()

    def relay(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data, peer = sock.recvfrom(2048)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
                back.settimeout(3)
                back.connect((DNS, 53))
                back.send(data)
                reply = back.recv(2048)
                if reply[3] & 15 == 2:
                    circle.set()
                sock.sendto(reply, peer)

    def both() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.bind(("127.0.0.1", 53))
            host.dns._forwarder._upstreams = lambda: ["127.0.0.1"]
            relaying = threading.Thread(target=relay, args=(sock,))
            relaying.start()
            began = time.monotonic()
            ask(host, "circle.example")
            relaying.join()
            host.dns._forwarder._upstreams = lambda: [OUTSIDE]
            assert time.monotonic() - began < 2

    host.do(both)
    assert circle.is_set()


def test_the_hosts_servers_are_read_again_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    servers = HostServers(path, DNS)
    assert servers() == ()
    path.write_text(f"# ours\nsearch x\nnameserver {DNS}\nnameserver 192.0.2.1\nnameserver\n")
    assert servers() == ("192.0.2.1",)
    path.write_text("nameserver 192.0.2.2\n")
    assert servers() == ("192.0.2.2",)
    path.unlink()
    assert servers() == ("192.0.2.2",), "the last known are better than none"
