"""Names of the world outside: whom to ask, what to remember of the answers, what an administrator adds."""

from __future__ import annotations

import errno
import socket
from collections import Counter
from pathlib import Path

import pytest
from dnslib import QTYPE, RCODE, RR, SOA, A, DNSRecord

from mini8s.agent.dns import custom
from mini8s.agent.dns.cache import ENTRIES, Cache, lifetime
from mini8s.agent.dns.custom import Server
from mini8s.agent.dns.forward import Forwarder
from mini8s.agent.dns.resolv import HostServers, servers
from mini8s.agent.dns.upstream import Done, Upstreams

ONE, TWO, THREE = ("192.0.2.1", 53), ("192.0.2.2", 53), ("192.0.2.3", 53)


class Wires:
    """In the place of Upstreams: the test says what comes back, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[Server, bytes, Done]] = []

    def ask(self, server: Server, query: bytes, done: Done) -> None:
        self.asked.append((server, query, done))

    def answer(self, rcode: int = RCODE.NOERROR) -> Server:
        """The oldest query that is out gets its answer; who it was asked of."""
        server, query, done = self.asked.pop(0)
        done(answer(DNSRecord.parse(query), rcode))
        return server

    def fail(self) -> Server:
        server, _, done = self.asked.pop(0)
        done(TimeoutError("no answer"))
        return server


def answer(query: DNSRecord, rcode: int = RCODE.NOERROR, ttl: int = 20) -> bytes:
    reply = query.reply(aa=0, ra=1)
    reply.header.rcode = rcode
    if rcode == RCODE.NOERROR:
        reply.add_answer(RR(reply.q.qname, QTYPE.A, rdata=A("203.0.113.7"), ttl=ttl))
    return bytes(reply.pack())


class World:
    def __init__(self, *known: Server) -> None:
        self.now = 0.0
        self.wires, self.count = Wires(), Counter[str]()
        self.heard: list[bytes | None] = []
        self.forwarder = Forwarder(
            lambda _: known or (ONE, TWO, THREE),
            self.wires,  # type: ignore[arg-type]
            self.count,
            monotonic=lambda: self.now,
        )

    def ask(self, name: str) -> bytes:
        query = bytes(DNSRecord.question(name).pack())
        self.forwarder.ask(query, name.lower(), self.heard.append)
        return query


def test_two_servers_are_tried_and_silent_ones_last() -> None:
    world = World()
    world.ask("a.example")
    assert world.wires.fail() == ONE
    assert world.wires.fail() == TWO
    assert world.heard == [None]
    world.ask("b.example")
    assert world.wires.answer() == THREE
    world.now = 11.0
    world.ask("c.example")
    assert world.wires.answer() == ONE


def test_a_failure_of_one_server_is_not_taken_for_the_answer() -> None:
    world = World()
    query = world.ask("a.example")
    assert world.wires.answer(RCODE.SERVFAIL) == ONE
    assert world.wires.answer() == TWO
    assert world.heard[0] == answer(DNSRecord.parse(query))


@pytest.mark.parametrize("rcode", [RCODE.SERVFAIL, RCODE.REFUSED])
def test_the_last_failure_is_passed_on_and_soon_forgotten(rcode: int) -> None:
    world = World(ONE, TWO)
    world.ask("a.example")
    world.wires.fail()
    world.wires.answer(rcode)
    world.ask("a.example")
    assert [one and one[3] & 15 for one in world.heard] == [rcode, rcode]
    world.now = 2.0
    world.ask("a.example")
    assert len(world.wires.asked) == 1


def test_equal_questions_are_one() -> None:
    world = World()
    queries = [world.ask(name) for name in ("a.example", "A.example", "a.EXAMPLE")]
    assert len(world.wires.asked) == 1
    world.wires.answer()
    assert [one and (one[:2], one[12:21]) for one in world.heard] == [(q[:2], q[12:21]) for q in queries]
    world.now = 5.0
    world.ask("a.example")
    assert DNSRecord.parse(world.heard[-1]).rr[0].ttl == 15
    assert world.count == {"forwarded": 1, "cached": 1}
    world.now = 20.0
    world.ask("a.example")
    assert len(world.wires.asked) == 1


def test_too_many_questions_are_failures_at_once() -> None:
    world = World()
    for i in range(1000):
        world.ask(f"{i}.example")
    assert world.heard == []
    world.ask("more.example")
    assert world.heard == [None]
    for _ in range(200):
        world.ask("7.example")
    assert world.heard.count(None) == 201, "no new question while there are so many"
    assert world.count["refused"] == 201


def test_a_host_without_descriptors_fails_and_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that could not be sent must not be one that everybody waits for."""

    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    heard: list[bytes | None] = []
    count = Counter[str]()
    forwarder = Forwarder(lambda _: (ONE, TWO), Upstreams(), count)
    query = bytes(DNSRecord.question("a.example").pack())
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", none_left)
        for _ in range(2):
            forwarder.ask(query, "a.example", heard.append)
    assert heard == [None, None]
    assert count == {"forwarded": 2, "upstream_failures": 4}


def test_how_long_an_answer_holds() -> None:
    query = DNSRecord.question("a.example")
    assert lifetime(answer(query, ttl=7)) == 7
    assert lifetime(answer(query, ttl=86400)) == 30
    assert lifetime(answer(query, ttl=0)) == 0
    assert lifetime(answer(query, RCODE.NXDOMAIN)) == 0, "nothing says for how long"
    denial = query.reply(aa=0)
    denial.add_auth(RR("example", QTYPE.SOA, rdata=SOA("a.example", "b.example", (1, 2, 3, 4, 12)), ttl=3600))
    assert lifetime(bytes(denial.pack())) == 12
    denial.header.rcode = RCODE.NXDOMAIN
    assert lifetime(bytes(denial.pack())) == 12
    denial.header.tc = 1
    assert lifetime(bytes(denial.pack())) == 0
    assert lifetime(b"no message") == 0


def test_the_cache_has_an_end() -> None:
    cache = Cache(lambda: 0.0)
    for i in range(ENTRIES + 10):
        cache.put(b"%d" % i, answer(DNSRecord.question("a.example")))
    assert [cache.get(b"9"), bool(cache.get(b"10"))] == [None, True]


def test_the_hosts_servers_are_read_again_when_they_change(tmp_path: Path) -> None:
    path, resolved = tmp_path / "resolv.conf", tmp_path / "resolved.conf"
    host = HostServers(path, "10.43.0.10", resolved)
    assert host() == ()
    path.write_text(
        "# ours\nsearch x\nnameserver 10.43.0.10\nnameserver 192.0.2.1\nnameserver\nnameserver fe80::1%eth0\n"
    )
    assert host() == (ONE, ("fe80::1", 53))
    path.write_text("nameserver 192.0.2.2\n")
    assert host() == (TWO,)
    path.unlink()
    assert host() == (TWO,), "the last known are better than none"
    path.write_text("nameserver 127.0.0.53\noptions edns0\n")
    assert host() == (("127.0.0.53", 53),)
    resolved.write_text("nameserver 192.0.2.3\n")
    assert host() == (THREE,), "the stub of systemd-resolved asks these"
    assert servers("nameserver printer\n") == ()


def added(**data: str) -> custom.Custom:
    return custom.read({"data": data}, "cluster.local")


def test_stub_domains_are_found_by_the_longest() -> None:
    found = added(
        stubDomains="""{"Corp.example.": ["192.0.2.1", "192.0.2.2:5353"],
                        "lab.corp.example": "[2001:db8::1]:54"}""",
        upstreamNameservers='["192.0.2.3"]',
    )
    assert found.problems == ()
    assert found.servers("www.corp.example") == (ONE, ("192.0.2.2", 5353))
    assert found.servers("corp.example") == (ONE, ("192.0.2.2", 5353))
    assert found.servers("a.lab.corp.example") == (("2001:db8::1", 54),)
    assert found.servers("xcorp.example") == found.servers("com") == (THREE,)
    assert custom.read(None, "cluster.local").servers("com") == ()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"hosts": "printer 192.0.2.1\n"}, "hosts: line 1 is not an address and its names"),
        ({"hosts": "\n192.0.2.1\n"}, "hosts: line 2 is not an address and its names"),
        ({"hosts": "192.0.2.1 web.default.svc.cluster.local"},
         "hosts: line 1: web.default.svc.cluster.local is no name outside cluster.local"),
        ({"hosts": "192.0.2.1 a_b"}, "hosts: line 1: a_b is no name outside cluster.local"),
        ({"stubDomains": "{"}, "stubDomains: Expecting property name"),
        ({"stubDomains": "[]"}, "stubDomains: not a JSON object"),
        ({"stubDomains": '{"a": ["b"]}'}, "stubDomains: a: b is not an address"),
        ({"stubDomains": '{"a": ["192.0.2.1:0"]}'}, "stubDomains: a: 192.0.2.1:0 is not an address"),
        ({"stubDomains": '{"svc.cluster.local": ["192.0.2.1"]}'},
         "stubDomains: svc.cluster.local is the cluster's own"),
        ({"stubDomains": '{".": ["192.0.2.1"]}'}, "stubDomains: the root is no stub"),
        ({"upstreamNameservers": "{}"}, "upstreamNameservers: not a JSON array"),
        ({"upstreamNameservers": "[7]"}, "upstreamNameservers: 7 is not an address"),
    ],
)  # fmt: skip
def test_what_can_not_be_understood_is_told(data: dict[str, str], problem: str) -> None:
    found = added(**data)
    assert [one[: len(problem)] for one in found.problems] == [problem]
    assert (found.stubs, found.hosts, found.upstreams) == ({}, {}, ())
