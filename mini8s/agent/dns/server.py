"""The DNS server of a host: the cluster's names from the agent's own picture, all others forwarded.

It listens on the cluster's DNS address, which every host has on a local link, so a pod is answered by the
host it runs on, with or without a server. Until the picture is complete it says SERVFAIL, never that a name
doesn't exist.
"""

from __future__ import annotations

import functools
import logging
import queue
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from dnslib import QTYPE, RCODE, DNSRecord

from mini8s.agent.dns import answer as answers
from mini8s.agent.dns import custom
from mini8s.agent.dns.burst import Address, exchange
from mini8s.agent.dns.custom import Custom, Server
from mini8s.agent.dns.exposition import exposition
from mini8s.agent.dns.forward import Forwarder
from mini8s.agent.dns.query import fast
from mini8s.agent.dns.records import Record, of_node, of_service
from mini8s.agent.dns.resolv import RESOLV_CONF, HostServers
from mini8s.agent.dns.stream import Stream
from mini8s.agent.dns.upstream import Upstreams
from mini8s.agent.dns.zone import Zone
from mini8s.agent.network.facts import BY_SERVICE, by_service
from mini8s.client.informer import Informers
from mini8s.objects import ip, meta
from mini8s.objects.kinds import CONFIGMAPS, ENDPOINTSLICES, NODES, SERVICES, Obj
from mini8s.util.backoff import Backoff
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

THREADS = 2  # for what takes a closer look: it is all computing, since nobody waits for other servers
WAITING = 512  # such queries at once; more are dropped, as a full socket would: the client asks again
STREAM_SECONDS = 10.0  # more than other servers may take for an answer
RECEIVE_BUFFER = 1 << 20  # bytes: some thousand queries that come while Python is busy
# sockets' family, and IP_FREEBIND or IPV6_FREEBIND: bind to an address that the network is about to add
_IPV4, _IPV6 = (socket.AF_INET, socket.SOL_IP, 15), (socket.AF_INET6, socket.IPPROTO_IPV6, 78)

Send = Callable[[bytes], None]


class DnsServer:
    """Serves `domain` on `address`, or on one of each family, UDP and TCP. Ranges are given as the flags have
    them, of one family or two."""

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
        upstreams: Callable[[], Sequence[Server]] | None = None,
    ) -> None:
        """`upstreams`: the servers to forward to; those of the host's resolv.conf when not given."""
        self.zone = Zone(domain, service_cidr, cluster_cidr, address)
        self._services = informers.of(SERVICES)
        self._slices = informers.of(ENDPOINTSLICES, indexers={BY_SERVICE: by_service})
        self._nodes = informers.of(NODES)
        self._added = informers.of(
            CONFIGMAPS, namespace=custom.NAMESPACE, fields=f"metadata.name={custom.NAME}"
        )
        self._informers = (self._services, self._slices, self._nodes, self._added)
        self._own = ip.split(address)
        self._stop = stop
        self._host_servers = upstreams or HostServers(RESOLV_CONF, self._own)
        self._custom = Custom()
        self.counters: Counter[str] = Counter()
        self._upstreams = Upstreams()
        self._forwarder = Forwarder(self._servers, self._upstreams, self.counters)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dns")
        self._waiting = threading.Semaphore(WAITING)
        self._lock = threading.Lock()  # one handler at a time changes the zone
        self._said = OnChange(log)
        self._said_of_custom = OnChange(log)
        backoff = functools.partial(Backoff, first=0.5, most=10.0)
        self._workers = [Worker("dns-forward", self._upstreams.round, stop, backoff=backoff())]
        for one in self._own:
            datagrams = functools.partial(self._serve_datagrams, (one, port))
            streams = functools.partial(self._serve_streams, (one, port))
            mark = "6" if ip.family(one) == ip.IPV6 else ""
            self._workers.append(Worker(f"dns-udp{mark}", datagrams, stop, backoff=backoff()))
            self._workers.append(Worker(f"dns-tcp{mark}", streams, stop, backoff=backoff()))
        self._started = False

    @property
    def sentence(self) -> str:
        """What the server says of itself."""
        return self._said.sentence

    def metrics(self) -> str:
        """For Prometheus."""
        return exposition(self.counters, len(self.zone), synced=self.zone.synced)

    def start(self) -> None:
        self.follow()
        self._started = True
        for worker in self._workers:
            worker.start()

    def follow(self) -> None:
        """Take in what the informers see."""
        self._services.subscribe(self._service_changed)
        self._slices.subscribe(self._slice_changed)
        self._nodes.subscribe(self._node_changed)
        self._added.subscribe(self._custom_changed)

    def stop(self) -> None:
        self._stop.set()
        self._upstreams.wake()
        if self._started:
            for worker in self._workers:
                worker.join(3.0)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def reply(self, data: bytes, *, stream: bool) -> bytes:
        """The answer to any packet, for which the caller waits; nothing for what deserves none."""
        answer: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.handle(data, answer.put, stream=stream)
        try:
            return answer.get(timeout=STREAM_SECONDS)
        except queue.Empty:
            return b""

    def handle(self, data: bytes, send: Send, *, stream: bool) -> None:
        """Give `send` the answer to any packet, nothing for what deserves none; now, or from another thread
        when other servers have spoken."""
        quick = fast(self.zone, data)
        if quick is not None:
            send(quick)
            return
        request = answers.parse(data)
        if request is None:
            self.counters["malformed"] += 1
            send(answers.malformed(data))
            return
        refusal = None if request.header.qr else answers.refused(request)
        if request.header.qr or refusal is not None:
            send(bytes(refusal.pack()) if refusal else b"")
            return
        known = answers.answer(self.zone, request)
        if known is None:
            self._forward(request, data, send, stream=stream)
        elif known.chase:
            self._follow(known, request, send, stream=stream)
        else:
            send(answers.finish(known.record, request, stream=stream))

    def _forward(self, request: DNSRecord, data: bytes, send: Send, *, stream: bool) -> None:
        failure = bytes(answers.failure(request, RCODE.SERVFAIL).pack())
        if not self.zone.synced:
            send(failure)  # it may be a node's name, or of a domain that others are to be asked about
            return
        if self._forwarder.circles(data):
            self.counters["circles"] += 1
            log.warning("a name server of this host sends queries back here: %s", request.q.qname)
            send(failure)
            return
        name = answers.text(request.q.qname)
        self._forwarder.ask(data, name, lambda found: send(found or failure), stream=stream)

    def _follow(self, known: answers.Reply, request: DNSRecord, send: Send, *, stream: bool) -> None:
        """Add what an alias that leads out of the cluster stands for."""
        query = bytes(DNSRecord.question(known.chase, QTYPE[request.q.qtype]).pack())

        def then(found: bytes | None) -> None:
            record = answers.parse(found) if found else None
            known.record.header.rcode = record.header.rcode if record else RCODE.SERVFAIL
            known.record.header.tc = record.header.tc if record else 0
            known.record.add_answer(*(record.rr if record else ()))
            send(answers.finish(known.record, request, stream=stream))

        self._forwarder.ask(query, known.chase, then, stream=stream)

    def _servers(self, name: str) -> Sequence[Server]:
        own = self._own
        return [one for one in self._custom.servers(name) or self._host_servers() if one[0] not in own]

    def _serve_datagrams(self, where: tuple[str, int]) -> None:
        """Bind, then answer until the stop: one round is one burst."""
        with _socket(socket.SOCK_DGRAM, where) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            datagrams = exchange(sock)
            quick = functools.partial(fast, self.zone)
            later = functools.partial(self._later, sock)
            while not self._stop:
                self._look()
                self.counters["queries"] += datagrams.round(quick, later)

    def _serve_streams(self, where: tuple[str, int]) -> None:
        with _socket(socket.SOCK_STREAM, where) as sock:
            sock.listen(128)
            stream = Stream(sock, self._reply_to_stream)
            while not self._stop:
                stream.round()

    def _reply_to_stream(self, data: bytes) -> bytes:
        self.counters["queries_tcp"] += 1
        try:
            return self.reply(data, stream=True)
        except Exception:
            # one odd query must not end the thread silently, nor go unnoticed
            log.exception("a query by TCP could not be answered")
            return b""

    def _later(self, sock: socket.socket, data: bytes, client: Address) -> None:
        """Answer from another thread, so that the burst goes on."""
        self.counters["slow"] += 1
        if not self._waiting.acquire(blocking=False):
            self.counters["refused"] += 1
            return
        self._pool.submit(self._answer, sock, data, client)

    def _answer(self, sock: socket.socket, data: bytes, client: Address) -> None:
        try:
            self.handle(data, functools.partial(_send, sock, client), stream=False)
        except Exception:
            # one odd query must not end the thread, nor go unnoticed
            log.exception("a query from %s could not be answered", client[0])
        finally:
            self._waiting.release()

    def _look(self) -> None:
        """Note when the picture is complete, and say how large it is."""
        if not self.zone.synced:
            self.zone.synced = all(informer.synced.is_set() for informer in self._informers)
            self._said.say(
                f"names of {self.zone.domain} are answered on {' and '.join(self._own)}"
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

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        records: Iterable[Record] = of_node(new) if new else ()
        with self._lock:
            self.zone.put(f"node {meta.name(new or old or {})}", records)

    def _custom_changed(self, _old: Obj | None, new: Obj | None) -> None:
        found = custom.read(new, self.zone.domain)
        with self._lock:
            self.zone.put("added names", found.records())
        self._custom = found
        self._forwarder.forget()
        where = f"ConfigMap {custom.NAMESPACE}/{custom.NAME}"
        self._said_of_custom.say(
            f"{where}: {'; '.join(found.problems)}"
            if found.problems
            else f"{where}: {len(found.hosts)} names, {len(found.stubs)} stub domains"
        )

    def _update(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        with self._lock:
            obj = self._services.cache.get(namespace, name)
            slices = self._slices.cache.index(BY_SERVICE, key)
            self.zone.put(key, of_service(obj, slices, self.zone.domain) if obj else ())


def _socket(kind: socket.SocketKind, where: tuple[str, int]) -> socket.socket:
    """Bound to the one address, so that answers come from it. Raises OSError."""
    family, level, freebind = _IPV6 if ip.family(where[0]) == ip.IPV6 else _IPV4
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(level, freebind, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {where[0]}:{where[1]}: {error.strerror}") from error
    return sock


def _send(sock: socket.socket, client: Address, reply: bytes) -> None:
    if not reply:
        return
    try:
        sock.sendto(reply, client)
    except OSError as error:
        log.debug("an answer to %s was lost: %s", client[0], error)
