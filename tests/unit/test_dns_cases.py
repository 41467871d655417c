"""What the DNS server says, case by case: `tests/cases/dns/*.dns`, a new block is a new test.

A block is a question (`? NAME TYPE`), the code with `aa` when it is authoritative, and records: answers,
`+` additional, `-` authority (owner and type only). Blank lines part blocks, `;` begins a comment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.dns import answer as answers
from mini8s.agent.dns.query import fast
from mini8s.agent.dns.records import of_service
from mini8s.agent.dns.server import DnsServer
from mini8s.agent.dns.zone import Zone
from mini8s.objects.kinds import CONFIGMAPS, ENDPOINTSLICES, NODES, SERVICES
from mini8s.util.workers import Stop
from tests.fakes.informers import FakeInformers
from tests.fakes.network_objects import endpoint, node, port, service, slice_of

CASES = Path(__file__).parents[1] / "cases" / "dns"


THREE = b"".join(b"\x3f" + letter * 63 for letter in (b"a", b"b", b"c"))
OURS = b"\7cluster\5local\0"
ADDED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "kube-system", "name": "mini8s-dns-custom", "resourceVersion": "7"},
    "data": {"hosts": "192.0.2.7 printer Printer.lan. # upstairs\n2001:db8::7 printer\n"},
}


@dataclass(frozen=True)
class Case:
    name: str
    type: str
    code: str
    authoritative: bool
    answers: list[str]
    additional: list[str]
    authority: list[str]


def blocks() -> Iterator[object]:
    for path in sorted(CASES.glob("*.dns")):
        text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith(";"))
        for block in text.split("\n\n"):
            lines = block.strip().splitlines()
            if lines:
                yield pytest.param(_case(lines), id=f"{path.stem}:{'-'.join(lines[0].split()[1:])}")


def _case(lines: list[str]) -> Case:
    _, name, kind = lines[0].split()
    code, _, flag = lines[1].partition(" ")
    return Case(
        name,
        kind,
        code,
        flag == "aa",
        sorted(line for line in lines[2:] if line[0] not in "+-"),
        sorted(line[2:] for line in lines[2:] if line[0] == "+"),
        sorted(line[2:] for line in lines[2:] if line[0] == "-"),
    )


class Upstream:
    """The world outside, where www.example.com is."""

    def ask(
        self, query: bytes, name: str, then: Callable[[bytes | None], None], *, stream: bool = False
    ) -> None:
        assert not name.endswith("cluster.local"), "the cluster's names are asked of nobody"
        request = DNSRecord.parse(query)
        reply = request.reply(aa=0, ra=1)
        reply.add_answer(RR("www.example.com", QTYPE.A, rdata=A("203.0.113.7"), ttl=60))
        reply.header.tc = name == "many.example.com" and not stream
        then(bytes(reply.pack()))

    def forget(self) -> None:
        """Nothing is remembered."""

    def circles(self, data: bytes) -> bool:
        return False


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    informers = FakeInformers()
    made = DnsServer(
        informers=informers,  # type: ignore[arg-type]
        address="10.43.0.10",
        domain="cluster.local",
        service_cidr="10.43.0.0/16",
        cluster_cidr="10.42.0.0/16",
        stop=Stop(),
        upstreams=list,
    )
    made._forwarder = Upstream()  # type: ignore[assignment]
    made.follow()
    made.zone.synced = True
    database = service("db", "None", port(5432, name="pg"))
    ends = [
        endpoint("10.42.1.7", hostname="db-0"),
        endpoint("10.42.2.7"),
        endpoint("10.42.2.8", state="waiting"),
    ]
    many = service("many", "None", port(80))
    for obj in (
        service("web", "10.43.0.100", port(80, name="http")),
        service("plain", "10.43.0.101", port(80)),
        service("empty", "None", port(80)),
        service("inside", "", type="ExternalName", externalName="web.default.svc.cluster.local"),
        service("outside", "", type="ExternalName", externalName="www.example.com"),
        service("far-many", "", type="ExternalName", externalName="many.example.com"),
        service("loop", "", type="ExternalName", externalName="loop.default.svc.cluster.local"),
        service("dual", "10.43.0.102", port(443, name="tls"), clusterIPs=["10.43.0.102", "fd43::66"]),
        service("six", "None", port(80, name="http")),
        *(
            service(
                f"hop-{i}", "", type="ExternalName", externalName=f"hop-{i + 1}.default.svc.cluster.local"
            )
            for i in range(9)
        ),
        database,
        many,
    ):
        informers.put(SERVICES, obj)
    informers.put(NODES, node("edge-1", "10.99.0.11", "10.42.1.0/24"))
    informers.put(CONFIGMAPS, ADDED)
    six = slice_of(
        service("six", "None"),
        [endpoint("fd42::7", hostname="six-0"), endpoint("fd42::8")],
        port(80, name="http"),
    )
    informers.put(ENDPOINTSLICES, six | {"addressType": "IPv6"})
    informers.put(ENDPOINTSLICES, slice_of(database, ends, port(5432, name="pg")))
    informers.put(ENDPOINTSLICES, slice_of(many, [endpoint(f"10.42.3.{i}") for i in range(1, 101)], port(80)))
    yield made
    made.stop()


@pytest.mark.parametrize("edns", [False, True], ids=["plain", "edns"])
@pytest.mark.parametrize("case", list(blocks()))
def test_case(case: Case, edns: bool, server: DnsServer) -> None:
    query = DNSRecord.question(case.name, case.type)
    query.header.ad = 1  # as dig does
    if edns:
        query.add_ar(EDNS0(udp_len=1232))
    reply = DNSRecord.parse(server.reply(bytes(query.pack()), stream=False))
    options = [one for one in reply.ar if one.rtype == QTYPE.OPT]
    assert reply.header.id == query.header.id
    assert (reply.header.qr, reply.header.rd, reply.header.ra) == (1, 1, 1)
    assert str(reply.q.qname) == case.name + "."
    assert not (reply.header.ad and reply.header.aa)
    assert RCODE[reply.header.rcode] == case.code
    assert bool(reply.header.aa) == case.authoritative
    assert sorted(map(_line, reply.rr)) == case.answers
    assert sorted(_line(one) for one in reply.ar if one.rtype != QTYPE.OPT) == case.additional
    assert sorted(f"{one.rname} {QTYPE[one.rtype]}" for one in reply.auth) == case.authority
    if case.name != "www.example.com":
        assert len(options) == edns


def _line(record: RR) -> str:
    return f"{record.rname} {record.ttl} {QTYPE[record.rtype]} {record.rdata}"


def ask(server: DnsServer, name: str, kind: str = "A", *, stream: bool = False, size: int = 0) -> DNSRecord:
    query = DNSRecord.question(name, kind)
    if size:
        query.add_ar(EDNS0(udp_len=size))
    return DNSRecord.parse(server.reply(bytes(query.pack()), stream=stream))


def test_too_long_an_answer_is_truncated_and_whole_over_tcp(server: DnsServer) -> None:
    name = "many.default.svc.cluster.local"
    short = ask(server, name)
    assert short.header.tc
    assert len(short.rr) == 29, "as many as fit, for clients that don't know TCP"
    assert len(short.pack()) <= 512
    wide = ask(server, name, size=4096)
    assert (wide.header.tc, len(wide.rr), wide.ar[0].rtype) == (1, 73, QTYPE.OPT)
    assert len(wide.pack()) <= 1232
    assert len(ask(server, name, stream=True).rr) == 100


def test_what_others_cut_short_is_not_shown_as_whole(server: DnsServer) -> None:
    name = "far-many.default.svc.cluster.local"
    assert [ask(server, name, stream=stream).header.tc for stream in (False, True)] == [1, 0]


def test_the_order_of_addresses_rotates(server: DnsServer) -> None:
    firsts = {str(ask(server, "db.default.svc.cluster.local").rr[0].rdata) for _ in range(64)}
    assert firsts == {"10.42.1.7", "10.42.2.7"}


def test_nothing_is_denied_before_the_picture_is_complete() -> None:
    zone = Zone("cluster.local", "10.43.0.0/16", "10.42.0.0/16")
    assert fast(zone, bytes(DNSRecord.question("none.default.svc.cluster.local").pack())) is None
    server = DnsServer(
        informers=FakeInformers(synced=False),  # type: ignore[arg-type]
        address="10.43.0.10",
        domain="cluster.local",
        service_cidr="10.43.0.0/16",
        cluster_cidr="10.42.0.0/16",
        stop=Stop(),
        upstreams=lambda: [("192.0.2.1", 53)],
    )
    for name, kind in [("web.default.svc.cluster.local", "A"), ("100.0.43.10.in-addr.arpa", "PTR")]:
        assert RCODE[ask(server, name, kind).header.rcode] == "SERVFAIL"
    assert RCODE[ask(server, "example.com").header.rcode] == "SERVFAIL"  # it may be an added name
    server.stop()


def test_a_service_that_goes_takes_its_names_along() -> None:
    zone = Zone("cluster.local", "10.43.0.0/16", "10.42.0.0/16")
    before = (dict(zone.answers), set(zone.names))
    records = of_service(service("web", "10.43.0.100", port(80, name="http")), [], "cluster.local")
    zone.put("default/web", records)
    assert zone.find("web.default.svc.cluster.local", "A") == ("10.43.0.100",)
    zone.put("default/web", ())
    assert (zone.answers, zone.names) == before
    assert not zone.exists("svc.cluster.local")


@pytest.mark.parametrize("kind", ["A", "AAAA", "HTTPS", "MX", "SRV", "TYPE97"])
@pytest.mark.parametrize("label", ["none", "db", "10-42-9-9"])
def test_both_ways_to_an_answer_say_the_same(kind: str, label: str, server: DnsServer) -> None:
    """What is made ready beforehand, and what is built when it is asked."""
    parent = "pod" if label[0] == "1" else "svc"
    query = DNSRecord.question(f"{label}.default.{parent}.cluster.local", "A")
    query.q.qtype = 97 if kind == "TYPE97" else getattr(QTYPE, kind)
    data = bytes(query.pack())
    ready = fast(server.zone, data)
    known = answers.answer(server.zone, DNSRecord.parse(data))
    assert known is not None
    if ready is not None:
        assert _said(DNSRecord.parse(ready)) == _said(known.record)
    assert (ready is None) == (parent == "pod" or (label == "db" and kind in {"MX", "SRV", "TYPE97"}))


def _said(record: DNSRecord) -> tuple[object, ...]:
    return (
        record.header.rcode,
        record.header.aa,
        sorted(map(_line, record.rr)),
        [one.rtype for one in record.auth],
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (THREE + b"\x3d" + b"d" * 61 + b"\0", "NOERROR"),
        (THREE + b"\x2f" + b"d" * 47 + OURS, "NXDOMAIN"),
        (THREE + b"\x3f" + b"d" * 63 + OURS, "FORMERR"),
        (b"\xc0\x0c", "FORMERR"),
        (b"\1a\xc0\x0c", "FORMERR"),
        (b"\x7f" + b"a" * 63 + OURS, "FORMERR"),
    ],
    ids=["255-bytes", "255-of-ours", "more", "points-to-itself", "circle", "label-too-long"],
)
def test_names_at_the_edge_of_what_is_one(name: bytes, code: str, server: DnsServer) -> None:
    query = b"\1\2\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1"
    reply = server.reply(query, stream=False)
    assert (reply[:2], RCODE[reply[3] & 15]) == (query[:2], code)


def test_several_questions_and_none(server: DnsServer) -> None:
    query = DNSRecord.question("web.default.svc.cluster.local")
    query.add_question(DNSQuestion("none.default.svc.cluster.local"))
    none = DNSRecord(DNSHeader(id=7, rd=1))
    for wrong in (query, none):
        assert server.reply(bytes(wrong.pack()), stream=False)[3] & 15 == RCODE.FORMERR


def test_headers_that_ask_for_something_else(server: DnsServer) -> None:
    query = bytearray(DNSRecord.question("web.default.svc.cluster.local").pack())
    status = bytearray(query)
    status[2] |= 0x10
    assert server.reply(bytes(status), stream=False)[3] & 15 == RCODE.NOTIMP
    answer = bytearray(query)
    answer[2] |= 0x80
    assert server.reply(bytes(answer), stream=False) == b""
    chaos = DNSRecord.question("version.bind", "TXT", "CH")
    assert server.reply(bytes(chaos.pack()), stream=False)[3] & 15 == RCODE.REFUSED
    transfer = DNSRecord.question("cluster.local", "AXFR")
    assert server.reply(bytes(transfer.pack()), stream=False)[3] & 15 == RCODE.REFUSED
    newer = DNSRecord.question("web.default.svc.cluster.local")
    newer.add_ar(EDNS0(version=1, udp_len=1232))
    reply = DNSRecord.parse(server.reply(bytes(newer.pack()), stream=False))
    assert reply.ar[0].ttl >> 24 == 1


@pytest.mark.parametrize(
    "record",
    [
        b"\1\1\0\1\0\0\0\5\0\10\0\5is\xc0uea",  # CAA with a tag that isn't text
        b"\0\x2f\0\1\0\0\0\5\0\6\1b\0\0\1\0",  # NSEC with an empty bitmap, which can't be written again
    ],
    ids=["unreadable", "unwritable"],
)
def test_a_record_that_breaks_the_parser_is_a_format_error(server: DnsServer, record: bytes) -> None:
    query = bytes(DNSRecord.question("w.x").pack())
    broken = query[:10] + b"\0\1" + query[12:] + b"\xc0\x0e" + record
    reply = server.reply(broken, stream=False)
    assert (reply[:2], reply[3] & 15) == (query[:2], RCODE.FORMERR)


@given(st.binary(max_size=300))
def test_no_packet_raises(server: DnsServer, data: bytes) -> None:
    server.reply(data, stream=False)


@given(st.data())
def test_no_damage_to_a_query_raises(server: DnsServer, data: st.DataObject) -> None:
    query = DNSRecord.question("_http._tcp.web.default.svc.cluster.local", "SRV")
    query.add_ar(EDNS0(udp_len=1232))
    packet = bytearray(query.pack())
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(2, len(packet) - 1))] = data.draw(st.integers(0, 255))
    server.reply(bytes(packet[: data.draw(st.integers(0, len(packet)))]), stream=False)
