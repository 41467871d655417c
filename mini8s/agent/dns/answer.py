"""Every question that `query` leaves: SRV, PTR, TXT, pods' names, aliases, and what is odd or broken. PURE.

Pods' names say their address themselves and are believed, whoever asks (CoreDNS calls that "pods insecure",
and k3s has it so): there is nothing to look up, so they work for pods of all hosts, with or without a server.

The answer may be unfinished: an alias that leads out of the cluster is to be followed by a forwarder, and a
question that isn't ours is to be forwarded altogether.
"""

from __future__ import annotations

from dataclasses import dataclass

from dnslib import (
    AAAA,
    CLASS,
    CNAME,
    EDNS0,
    NS,
    OPCODE,
    PTR,
    QTYPE,
    RCODE,
    RR,
    SOA,
    SRV,
    TXT,
    DNSError,
    DNSRecord,
)
from dnslib import A as AddressData
from dnslib import DNSHeader as Header
from dnslib.label import DNSLabelError

from mini8s.agent.dns.query import EDNS_SIZE
from mini8s.agent.dns.records import Data, family
from mini8s.agent.dns.zone import PLAIN_SIZE, TTL, Zone, address_of

ALIASES = 8  # followed for one question; a loop ends there
_TYPES = ("A", "AAAA", "PTR", "SRV", "TXT", "NS", "CNAME")


@dataclass(frozen=True, slots=True)
class Reply:
    """What is known here. `chase`: the name outside the cluster that the last alias leads to."""

    record: DNSRecord
    chase: str = ""


def parse(data: bytes) -> DNSRecord | None:
    """The message, None when it can't be read (or, as broken, not be written again)."""
    try:
        record = DNSRecord.parse(data)
        record.pack()
    except (DNSError, DNSLabelError, ValueError, IndexError):
        # dnslib lets through what Python raises on some malformed packets, and lets a name be too long
        return None
    return record


def malformed(data: bytes) -> bytes:
    """What to say to a packet that can't be read: nothing when it isn't even a query."""
    if len(data) < 12 or data[2] & 0x80:
        return b""
    header = Header(id=int.from_bytes(data[:2], "big"), qr=1, ra=1, rcode=RCODE.FORMERR)
    return bytes(DNSRecord(header).pack())


def failure(request: DNSRecord, rcode: int) -> DNSRecord:
    reply = _reply(request, authority=False)
    reply.header.rcode = rcode
    return reply


def refused(request: DNSRecord) -> DNSRecord | None:
    """The answer to a query that can have no other, None when it is a question like any."""
    header = request.header
    if header.opcode != OPCODE.QUERY:
        return failure(request, RCODE.NOTIMP)
    if len(request.questions) != 1:
        return failure(request, RCODE.FORMERR)
    options = [one for one in request.ar if one.rtype == QTYPE.OPT]
    if len(options) > 1:
        return failure(request, RCODE.FORMERR)
    if options and options[0].ttl >> 16 & 0xFF:
        reply = request.reply(ra=1, aa=0)
        reply.add_ar(EDNS0(udp_len=EDNS_SIZE, ext_rcode=1))  # BADVERS: 16, of which this is the upper part
        return reply
    question = request.q
    if question.qclass != CLASS.IN or question.qtype in (QTYPE.AXFR, QTYPE.IXFR):
        return failure(request, RCODE.REFUSED)
    return None


def answer(zone: Zone, request: DNSRecord) -> Reply | None:
    """None when the question is not ours to answer."""
    name = text(request.q.qname)
    if not zone.covers(name):
        return None
    if not zone.synced:
        return Reply(failure(request, RCODE.SERVFAIL))
    reply = _reply(request, authority=True)
    for _ in range(ALIASES):
        target = _add(zone, reply, name, request.q.qtype)
        if not target:
            break
        if not zone.covers(target):
            return Reply(reply, target)
        name = target
    else:
        return Reply(failure(request, RCODE.SERVFAIL))
    if not any(one.rtype != QTYPE.CNAME or request.q.qtype == QTYPE.CNAME for one in reply.rr):
        if zone.within(name) or address_of(name):
            reply.add_auth(_soa(zone))
        if not _exists(zone, name):
            reply.header.rcode = RCODE.NXDOMAIN
    return Reply(reply)


def finish(reply: DNSRecord, request: DNSRecord, *, stream: bool) -> bytes:
    """The bytes to send: over UDP no more than the client says it takes. What is left out first is what was
    not asked for (RFC 2181, 9); of the answers as many stay as fit, for clients without TCP."""
    data = bytes(reply.pack())
    room = _room(request)
    if stream or len(data) <= room:
        return data
    reply.ar = [one for one in reply.ar if one.rtype == QTYPE.OPT]
    records = reply.rr
    few, many = 0, len(records)
    while few < many:
        half = (few + many + 1) // 2
        reply.rr = records[:half]
        few, many = (half, many) if len(reply.pack()) <= room else (few, half - 1)
    reply.rr = records[:few]
    reply.header.tc |= few < len(records)
    return bytes(reply.pack())


def _room(request: DNSRecord) -> int:
    for one in request.ar:
        if one.rtype == QTYPE.OPT:
            return max(PLAIN_SIZE, min(EDNS_SIZE, int(one.rclass)))
    return PLAIN_SIZE


def _reply(request: DNSRecord, *, authority: bool) -> DNSRecord:
    reply = request.reply(ra=1, aa=1 if authority else 0)
    reply.header.ad = 0  # nothing here was checked by signatures
    if any(one.rtype == QTYPE.OPT for one in request.ar):
        reply.add_ar(EDNS0(udp_len=EDNS_SIZE))
    return reply


def _add(zone: Zone, reply: DNSRecord, name: str, qtype: int) -> str:
    """Add the records of a name; the name it is an alias of, if that is to be asked instead."""
    for alias in zone.find(name, "CNAME"):
        reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(str(alias)), ttl=TTL))
        return "" if qtype in (QTYPE.CNAME, QTYPE.ANY) else str(alias)
    for kind in _TYPES:
        if qtype in (getattr(QTYPE, kind), QTYPE.ANY):
            for data in _find(zone, name, kind):
                reply.add_answer(_record(name, kind, data))
                if kind == "SRV":
                    _add_addresses(zone, reply, str(data[3]))
    if name == zone.domain and qtype in (QTYPE.SOA, QTYPE.ANY):
        reply.add_answer(_soa(zone))
    return ""


def _add_addresses(zone: Zone, reply: DNSRecord, target: str) -> None:
    """The addresses of an SRV record's target, to spare the client a question."""
    if target in {text(one.rname) for one in reply.ar if one.rtype != QTYPE.OPT}:
        return
    for kind in ("A", "AAAA"):
        for address in zone.find(target, kind):
            reply.add_ar(_record(target, kind, address))


def _find(zone: Zone, name: str, type: str) -> tuple[Data, ...]:
    found = zone.find(name, type)
    if not found and type in ("A", "AAAA"):
        address = _pod_address(zone, name)
        return (address,) if address and family(address) == type else ()
    return found


def _exists(zone: Zone, name: str) -> bool:
    return zone.exists(name) or bool(_pod_address(zone, name)) or name == f"pod.{zone.domain}"


def _pod_address(zone: Zone, name: str) -> str:
    """The address in a name such as 10-42-0-7.default.pod.cluster.local."""
    labels = name.removesuffix(f".pod.{zone.domain}").split(".")
    if not name.endswith(f".pod.{zone.domain}") or len(labels) != 2:
        return ""
    candidates = (labels[0].replace("-", between) for between in ".:")
    return next((one for one in candidates if family(one)), "")


def _record(name: str, type: str, data: Data) -> RR:
    makers = {"A": AddressData, "AAAA": AAAA, "CNAME": CNAME, "PTR": PTR, "NS": NS, "TXT": TXT}
    rdata = SRV(*data) if isinstance(data, tuple) else makers[type](data)
    return RR(name, getattr(QTYPE, type), rdata=rdata, ttl=TTL)


def _soa(zone: Zone) -> RR:
    times = (1, 7200, 1800, 86400, TTL)
    data = SOA(f"ns.dns.{zone.domain}", f"hostmaster.{zone.domain}", times)
    return RR(zone.domain, QTYPE.SOA, rdata=data, ttl=TTL)


def text(name: object) -> str:
    """A name as the zone has it."""
    return str(name).rstrip(".").lower()
