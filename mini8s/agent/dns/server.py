"""The DNS server of a host: the cluster's names from the agent's own picture, all others forwarded.

It listens on the cluster's DNS address, which every host has on a local link, so a pod is answered by the
host it runs on, with or without a server. Until the picture is complete it says SERVFAIL, never that a name
doesn't exist.
"""

from __future__ import annotations

import functools
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dnslib import QTYPE, RCODE, DNSRecord

from mini8s.agent.dns import answer as answers
from mini8s.agent.dns.burst import Address, exchange
from mini8s.agent.dns.forward import Forwarder, HostServers
from mini8s.agent.dns.query import fast
from mini8s.agent.dns.records import of_service
from mini8s.agent.dns.stream import Stream
from mini8s.agent.dns.zone import Zone
from mini8s.agent.network.facts import BY_SERVICE, by_service
from mini8s.client.informer import Informers
from mini8s.objects import meta
from mini8s.objects.kinds import ENDPOINTSLICES, SERVICES, Obj
from mini8s.util.backoff import Backoff
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
THREADS = 16  # for what takes a closer look or another server
WAITING = 512  # such queries at once; more get SERVFAIL at once
RECEIVE_BUFFER = 1 << 20  # bytes: some thousand queries that come while Python is busy
_FREEBIND = 15  # IP_FREEBIND: bind to an address that the network is about to add


class DnsServer:
    """Serves `domain` on `address`, UDP and TCP."""

    def __init__(
        self,
        *,
        informers: Informers,
        address: str,
        domain: str,
        service_cidr: str,
        cluster_cidr: str,
        stop: Stop,
        port: int = 53,
        upstreams: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        """`upstreams`: the servers to forward to; those of the host's resolv.conf when not given."""
        self.zone = Zone(domain, service_cidr, cluster_cidr)
        self._services = informers.of(SERVICES)
        self._slices = informers.of(ENDPOINTSLICES, indexers={BY_SERVICE: by_service})
        self._where = (address, port)
        self._stop = stop
        self._forwarder = Forwarder(upstreams or HostServers(RESOLV_CONF, address))
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dns")
        self._waiting = threading.Semaphore(WAITING)
        self._lock = threading.Lock()  # one handler at a time changes the zone
        self._said = OnChange(log)
        self._counters = dict.fromkeys(("queries", "slow", "forwarded", "refused"), 0.0)
        self._sockets: list[socket.socket] = []
        self._workers = [
            Worker("dns-udp", self._serve_datagrams, stop, backoff=Backoff(first=0.5, most=10.0)),
            Worker("dns-tcp", self._serve_streams, stop, backoff=Backoff(first=0.5, most=10.0)),
        ]
        self._started = False

    @property
    def sentence(self) -> str:
        """What the server says of itself."""
        return self._said.sentence

    def metrics(self) -> dict[str, float]:
        """Counters since the start: queries in all, those that took a closer look, were forwarded, were
        refused because too many waited."""
        return dict(self._counters)

    def start(self) -> None:
        self._services.subscribe(self._service_changed)
        self._slices.subscribe(self._slice_changed)
        self._started = True
        for worker in self._workers:
            worker.start()

    def stop(self) -> None:
        self._stop.set()
        if self._started:
            for worker in self._workers:
                worker.join(3.0)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def reply(self, data: bytes, *, stream: bool) -> bytes:
        """The answer to any packet; nothing for what deserves none."""
        quick = fast(self.zone, data)
        if quick is not None:
            return quick
        request = answers.parse(data)
        if request is None:
            return answers.malformed(data)
        if request.header.qr:
            return b""
        refusal = answers.refused(request)
        if refusal is not None:
            return bytes(refusal.pack())
        known = answers.answer(self.zone, request)
        if known is None:
            return self._forward(request, data, stream=stream)
        if known.chase:
            self._follow(known, request, stream=stream)
        return answers.finish(known.record, request, stream=stream)

    def _forward(self, request: DNSRecord, data: bytes, *, stream: bool) -> bytes:
        self._counters["forwarded"] += 1
        if self._forwarder.circles(data):
            log.warning("a name server of this host sends queries back here: %s", request.q.qname)
            return bytes(answers.failure(request, RCODE.SERVFAIL).pack())
        found = self._forwarder.ask(data, stream=stream)
        return found or bytes(answers.failure(request, RCODE.SERVFAIL).pack())

    def _follow(self, known: answers.Reply, request: DNSRecord, *, stream: bool) -> None:
        """Add what an alias that leads out of the cluster stands for."""
        kind = QTYPE[request.q.qtype]
        found = self._forwarder.ask(bytes(DNSRecord.question(known.chase, kind).pack()), stream=stream)
        record = answers.parse(found) if found else None
        if record is None:
            known.record.header.rcode = RCODE.SERVFAIL
            return
        known.record.header.rcode = record.header.rcode
        known.record.add_answer(*record.rr)

    def _serve_datagrams(self) -> None:
        """Bind, then answer until the stop: one round is one burst."""
        with _socket(socket.SOCK_DGRAM, self._where) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            datagrams = exchange(sock)
            quick = functools.partial(fast, self.zone)
            later = functools.partial(self._later, sock)
            while not self._stop:
                self._look()
                self._counters["queries"] += datagrams.round(quick, later)

    def _serve_streams(self) -> None:
        with _socket(socket.SOCK_STREAM, self._where) as sock:
            sock.listen(128)
            stream = Stream(sock, functools.partial(self.reply, stream=True))
            while not self._stop:
                stream.round()

    def _later(self, sock: socket.socket, data: bytes, client: Address) -> None:
        """Answer from another thread, so that the burst goes on."""
        self._counters["slow"] += 1
        if not self._waiting.acquire(blocking=False):
            self._counters["refused"] += 1
            return
        self._pool.submit(self._answer, sock, data, client)

    def _answer(self, sock: socket.socket, data: bytes, client: Address) -> None:
        try:
            reply = self.reply(data, stream=False)
            if reply:
                sock.sendto(reply, client)
        except Exception:
            # one odd query must not end the thread, nor go unnoticed
            log.exception("a query from %s could not be answered", client[0])
        finally:
            self._waiting.release()

    def _look(self) -> None:
        """Note when the picture is complete, and say how large it is."""
        if not self.zone.synced:
            self.zone.synced = self._services.synced.is_set() and self._slices.synced.is_set()
            self._said.say(
                f"names of {self.zone.domain} are answered on {self._where[0]}"
                if self.zone.synced
                else "names are not known yet: waiting for the server"
            )

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        for obj in (old, new):
            if obj:
                self._update(meta.key(obj))

    def _slice_changed(self, old: Obj | None, new: Obj | None) -> None:
        for owner in {owner for obj in (old, new) if obj for owner in by_service(obj)}:
            self._update(owner)

    def _update(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        with self._lock:
            obj = self._services.cache.get(namespace, name)
            slices = self._slices.cache.index(BY_SERVICE, key)
            self.zone.put(key, of_service(obj, slices, self.zone.domain) if obj else ())


def _socket(kind: socket.SocketKind, where: tuple[str, int]) -> socket.socket:
    """Bound to the one address, so that answers come from it. Raises OSError."""
    sock = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_IP, _FREEBIND, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {where[0]}:{where[1]}: {error.strerror}") from error
    return sock
