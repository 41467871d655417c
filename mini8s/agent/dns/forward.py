"""Asking the host's own name servers what the cluster doesn't know.

A query goes out with an id and a source port of chance, and only an answer that repeats both the id and the
question from the address asked is taken. A server that stays silent is asked last for a while. A host whose
resolv.conf leads back here would make queries circle: one that comes in with an id and question that are out
at the moment is such a circle.
"""

from __future__ import annotations

import logging
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dnslib import QTYPE, RCODE, DNSRecord

from mini8s.agent.dns.answer import parse
from mini8s.util.log import OnChange

log = logging.getLogger(__name__)

PORT = 53
TIMEOUT_SECONDS = 2.0  # of one server: resolvers give a query 5 s in all
TRIES = 2  # servers asked for one question
SILENT_SECONDS = 10.0  # for which a server that didn't answer is asked last
CACHE_ENTRIES = 1000
CACHE_SECONDS = 30  # at most: as CoreDNS in k3s
RESOLVED = Path("/run/systemd/resolve/resolv.conf")  # the servers behind systemd-resolved's stub


class Forwarder:
    """Threads may share it. `upstreams` says which servers there are now."""

    def __init__(
        self, upstreams: Callable[[], Sequence[str]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._upstreams = upstreams
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards the tables below
        self._out: set[bytes] = set()  # ids and questions that are being asked
        self._cache: dict[bytes, tuple[float, float, bytes]] = {}  # asked, valid until, answer; by question
        self._silent: dict[str, float] = {}  # until when
        self._said = OnChange(log)

    def circles(self, data: bytes) -> bool:
        """Whether this query is one of our own that came back."""
        with self._lock:
            return _identity(data) in self._out

    def ask(self, query: bytes, *, stream: bool = False) -> bytes | None:
        """The answer to a query with one question, under the query's id; None when no server gave one."""
        key = _question(query) + (b"+" if stream else b"") + query[10:12]
        answer = self._cached(key)
        if answer is None:
            answer = self._ask_servers(query, stream=stream)
            if answer is None:
                return None
            self._remember(key, answer)
        return query[:2] + answer[2:]

    def _ask_servers(self, query: bytes, *, stream: bool) -> bytes | None:
        """The first good answer, else the last bad one: a server that fails or refuses may be alone in it."""
        last = None
        for server in self._order()[:TRIES]:
            try:
                answer = self._exchange(server, query, stream=stream)
            except OSError as error:
                self._said.say(f"name server {server}: {error}")
                with self._lock:
                    self._silent[server] = self._monotonic() + SILENT_SECONDS
                continue
            if answer[3] & 15 not in (RCODE.SERVFAIL, RCODE.REFUSED, RCODE.NOTIMP):
                return answer
            last = answer
        return last

    def _order(self) -> list[str]:
        """Servers in the order of resolv.conf, those that were silent lately last."""
        now = self._monotonic()
        with self._lock:
            return sorted(self._upstreams(), key=lambda server: self._silent.get(server, 0) > now)

    def _exchange(self, server: str, query: bytes, *, stream: bool) -> bytes:
        """Raises OSError."""
        sent = secrets.token_bytes(2) + query[2:]
        with self._lock:
            self._out.add(_identity(sent))
        try:
            return _over_tcp(server, sent) if stream else _over_udp(server, sent)
        finally:
            with self._lock:
                self._out.discard(_identity(sent))

    def _cached(self, key: bytes) -> bytes | None:
        now = self._monotonic()
        with self._lock:
            asked, until, answer = self._cache.get(key, (0.0, 0.0, b""))
        return _aged(answer, int(now - asked)) if now < until else None

    def _remember(self, key: bytes, answer: bytes) -> None:
        seconds = _lifetime(answer)
        if not seconds:
            return
        now = self._monotonic()
        with self._lock:
            while len(self._cache) >= CACHE_ENTRIES:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = (now, now + seconds, answer)


class HostServers:
    """The servers of the host's resolv.conf as it is now, without the address we serve on."""

    def __init__(self, path: Path, own: str) -> None:
        self._path, self._own = path, own
        self._stamp = 0
        self._servers: tuple[str, ...] = ()

    def __call__(self) -> tuple[str, ...]:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._servers = self._read()
                self._stamp = stamp
        except OSError as error:
            log.warning("the host's name servers can't be read: %s", error)
        return self._servers

    def _read(self) -> tuple[str, ...]:
        found = servers(self._path.read_text(encoding="utf-8", errors="replace"))
        if found == ("127.0.0.53",) and RESOLVED.exists():
            found = servers(RESOLVED.read_text(encoding="utf-8", errors="replace"))
        return tuple(one for one in found if one != self._own)


def servers(resolv_conf: str) -> tuple[str, ...]:
    """The addresses that a resolv.conf names."""
    lines = (line.split() for line in resolv_conf.splitlines())
    return tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")


def read_exactly(connection: socket.socket, length: int) -> bytes:
    """Raises OSError when the other side ends before."""
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("the connection ended in the middle of a message")
        data += piece
    return data


def _over_udp(server: str, sent: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    end = time.monotonic() + TIMEOUT_SECONDS
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.connect((server, PORT))
        sock.send(sent)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer within {TIMEOUT_SECONDS:g} s")
            sock.settimeout(left)
            answer = sock.recv(65535)
            if _answers(answer, sent):
                return answer


def _over_tcp(server: str, sent: bytes) -> bytes:
    with socket.create_connection((server, PORT), TIMEOUT_SECONDS) as connection:
        connection.sendall(struct.pack(">H", len(sent)) + sent)
        answer = read_exactly(connection, *struct.unpack(">H", read_exactly(connection, 2)))
    if not _answers(answer, sent):
        raise ConnectionError("the answer is to another question")
    return answer


def _answers(answer: bytes, sent: bytes) -> bool:
    """Whether it is a response with the id and the question that were sent."""
    return len(answer) >= 12 and bool(answer[2] & 0x80) and _identity(answer) == _identity(sent)


def _identity(data: bytes) -> bytes:
    return data[:2] + _question(data)


def _question(data: bytes) -> bytes:
    return data[12 : data.find(b"\0", 12) + 5].lower()


def _lifetime(answer: bytes) -> int:
    """For how many seconds an answer may be given again: 0 for failures and truncated ones."""
    record = parse(answer)
    if record is None or record.header.tc or record.header.rcode not in (RCODE.NOERROR, RCODE.NXDOMAIN):
        return 0
    if record.rr:
        return int(min(CACHE_SECONDS, *(one.ttl for one in record.rr), CACHE_SECONDS))
    denials = [min(one.ttl, one.rdata.times[4]) for one in record.auth if one.rtype == QTYPE.SOA]
    return int(min(CACHE_SECONDS, *denials, CACHE_SECONDS)) if denials else 0


def _aged(answer: bytes, seconds: int) -> bytes:
    """The answer as it is after so many seconds in the cache."""
    if not seconds:
        return answer
    record = DNSRecord.parse(answer)
    for one in [*record.rr, *record.auth]:
        one.ttl = max(0, one.ttl - seconds)
    return bytes(record.pack())
