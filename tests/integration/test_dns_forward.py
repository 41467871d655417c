"""Names of the world outside: asked of the host's servers, in their order, and remembered for a while."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from mini8s.agent.dns.burst import Burst
from mini8s.agent.dns.forward import Forwarder
from mini8s.agent.dns.upstream import Upstreams, read_message
from tests.integration.small_hosts import DNS, OUTSIDE, SmallHost, eventually, small_hosts


@pytest.fixture(scope="module")
def host() -> Iterator[SmallHost]:
    with small_hosts() as hosts:
        yield hosts[0]


SO_RCVBUFFORCE = 33  # socket(7)


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
            sock.settimeout(60)
            sock.connect((DNS, 53))
            sock.send(bytes(DNSRecord.question(name).pack()))
            return sock.recv(2048)

    return DNSRecord.parse(host.do(exchange))


def test_a_name_outside_is_asked_once(host: SmallHost, outside: NameServer) -> None:
    """By whom a search list of the cluster's leads there, too: its denials are the host's own."""
    for _ in range(5):
        for domain in ("default.svc.cluster.local", "svc.cluster.local", "cluster.local"):
            assert ask(host, f"once.example.{domain}").header.rcode == RCODE.NXDOMAIN
        assert str(ask(host, "once.example").rr[0].rdata) == "203.0.113.7"
    assert outside.asked == 1


def test_answers_to_other_questions_are_not_taken(host: SmallHost, outside: NameServer) -> None:
    outside.lies = True
    reply = ask(host, "lies.example")
    assert str(reply.q.qname) == "lies.example."
    assert str(reply.rr[0].rdata) == "203.0.113.7"


def test_silence_is_a_failure_in_time_and_keeps_nobody_waiting(host: SmallHost, outside: NameServer) -> None:
    """Hundreds of questions wait for a server that says nothing, and all else is answered meanwhile."""
    outside.silent = True

    def flood() -> tuple[int, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(60)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)  # all fail at once
            sock.connect((DNS, 53))
            for i in range(300):
                sock.send(bytes(DNSRecord.question(f"silent-{i}.example").pack()))
            sock.send(bytes(DNSRecord.question("dns-version.cluster.local", "TXT").pack()))
            first = DNSRecord.parse(sock.recv(2048))
            assert "1.1.0" in str(first.rr[0].rdata)
            codes = {DNSRecord.parse(sock.recv(2048)).header.rcode for _ in range(300)}
            return codes.pop(), len(codes)

    assert host.do(flood) == (2, 0)
    outside.silent = False
    assert str(ask(host, "again.example").rr[0].rdata) == "203.0.113.7"


def test_a_silent_server_is_asked_last(host: SmallHost, outside: NameServer) -> None:
    upstreams, count = host.do(Upstreams), Counter[str]()
    nobody = ("10.99.0.250", 53)
    forwarder = Forwarder(lambda _: [nobody, (OUTSIDE, 53)], upstreams, count)
    heard: list[bytes | None] = []
    for name in ("first.example", "second.example"):
        query = bytes(DNSRecord.question(name).pack())
        host.do(forwarder.ask, query, name, heard.append)
        eventually(lambda: upstreams.round() or heard)
        found = heard.pop()
        assert found
        assert found[:2] == query[:2]
    assert count == {"forwarded": 2, "upstream_failures": 1}


def test_who_asks_the_same_waits_for_the_same_answer(host: SmallHost, outside: NameServer) -> None:
    def storm() -> set[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(60)
            sock.connect((DNS, 53))
            for letter in b"eEmM":
                name = f"stor{chr(letter)}.example" if letter in b"mM" else f"sTor{chr(letter)}.example"
                for _ in range(10):
                    sock.send(bytes(DNSRecord.question(name).pack()))
            return {sock.recv(2048)[12:].split(b"\0")[0] for _ in range(40)}

    assert len(host.do(storm)) == 4, "each in the letters that were asked"
    assert outside.asked == 2


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
            sock.settimeout(60)
            sock.bind(("127.0.0.1", 53))
            host.dns._host_servers = lambda: [("127.0.0.1", 53)]
            relaying = threading.Thread(target=relay, args=(sock,))
            relaying.start()
            ask(host, "circle.example")
            relaying.join()
            host.dns._host_servers = lambda: [(OUTSIDE, 53)]

    before = host.dns.counters["circles"]
    host.do(both)
    assert circle.is_set()
    assert host.dns.counters["circles"] == before + 1


def test_who_can_not_be_answered_takes_no_answer_from_others(host: SmallHost) -> None:
    """A query from port 0, to which nobody can send, in one burst with those of another client."""
    query = bytes(DNSRecord.question("dns-version.cluster.local").pack())

    def burst() -> list[bytes]:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as forger,
        ):
            server.bind(("127.0.0.1", 0))
            client.settimeout(60)
            client.connect(server.getsockname())
            client.send(query)
            header = struct.pack(">HHHH", 0, server.getsockname()[1], 8 + len(query), 0)  # no checksum
            forger.sendto(header + query, ("127.0.0.1", 0))
            client.send(query)
            assert Burst(server).round(bytes.upper, lambda *_: None) == 3
            return [client.recv(2048) for _ in range(2)]

    assert host.do(burst) == [query.upper()] * 2


def test_several_queries_over_one_connection(host: SmallHost) -> None:
    def talk() -> list[bytes]:
        with socket.create_connection((DNS, 53), 5) as connection:
            connection.settimeout(60)
            query = bytes(DNSRecord.question("dns-version.cluster.local", "TXT").pack())
            for piece in (b"\0", bytes((len(query),)) + query[:5], query[5:], bytes((0, len(query))) + query):
                connection.sendall(piece)
            answers = [read_message(connection, 5) for _ in range(2)]
            connection.sendall(b"\0\2no")
            return [*answers, connection.recv(1)]

    first, second, end = host.do(talk)
    assert first == second
    assert b"1.1.0" in first
    assert end == b"", "what is no query ends the connection"
