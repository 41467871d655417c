"""The proxy's loop: informers say which Services (and pods of this host with
host ports, which are programmed like Services) changed, a round plans them and programs the kernel.

Changes that come while a round runs are the next round's. The first round, and the first after a failure,
replaces all that the kernel holds; connections that exist live in the kernel's connection table and don't
notice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mini8s.agent.network.facts import BY_SERVICE, by_service
from mini8s.agent.network.family import IPV4, Family
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.proxy import model
from mini8s.agent.proxy.base import Kernel
from mini8s.agent.proxy.conntrack import ConntrackError
from mini8s.agent.proxy.health import Check, HealthChecks
from mini8s.agent.proxy.layout import ENDPOINTS, FRONTS, HOST_FRONTS, HOST_PORTS, MOST_ENDPOINTS, NODE_PORTS
from mini8s.agent.proxy.plan import Book
from mini8s.agent.proxy.table import Table
from mini8s.client.informer import Informers
from mini8s.objects import meta
from mini8s.objects.kinds import ENDPOINTSLICES, NODES, PODS, SERVICES, Obj
from mini8s.util.backoff import Backoff
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

POD = "pod:"  # what the key of a pod begins with in the book; no namespace has a colon
SYNC_SECONDS = 0.5
CHECK_SECONDS = 20.0  # how soon a table that somebody flushed is made again
BLOCKED_SECONDS = 300.0  # how soon rules of others that drop pods' packets are told of


class Proxy:
    """Keeps Services' addresses and ports of one family, and pods' host ports, true on this host. `silent`
    names hosts that can't be counted on."""

    def __init__(
        self,
        *,
        informers: Informers,
        node_name: str,
        service_cidr: str,
        cluster_cidr: str,
        stop: Stop,
        node_port_ranges: Sequence[str] = (),
        kernel: Kernel | None = None,
        silent: Callable[[], frozenset[str]] = frozenset,
        family: Family = IPV4,
    ) -> None:
        self._home = model.Home(node_name, family=family)
        self._stop = stop
        self._kernel = kernel or Table(service_cidr, cluster_cidr, node_port_ranges, family)
        self._silent = silent
        self._nodes = informers.of(NODES)
        self._services = informers.of(SERVICES)
        self._slices = informers.of(ENDPOINTSLICES, indexers={BY_SERVICE: by_service})
        self._pods = informers.of(PODS, fields=f"spec.nodeName={node_name}")
        self._book: Book | None = None  # None: what the kernel holds is unknown
        self._lock = threading.Lock()  # guards the set of changed Services
        self._changed: set[str] = set()
        self._wake = threading.Event()
        self._checked = self._looked = 0.0
        self._blocked = ""  # what is in the way of pods' packets
        self._sctp: set[str] = set()  # Services that have ports of this protocol
        self._large: dict[str, int] = {}  # Services with more endpoints than a group holds
        self._checks: dict[str, tuple[int, Check]] = {}  # health check ports by Service
        self._health = HealthChecks(stop, lambda: self._book is not None, family)
        self._backoff = Backoff(first=0.1, most=5.0)
        self._said = OnChange(log)
        self._counters = dict.fromkeys(("rounds", "replaced", "failed", "elements", "seconds"), 0.0)
        name = "proxy" if family is IPV4 else f"proxy-{family.nft}"
        self._worker = Worker(name, self.step, stop)
        self._started = False

    @property
    def sentence(self) -> str:
        """What the proxy says of itself."""
        return self._said.sentence

    def start(self) -> None:
        self._nodes.subscribe(self._node_changed)
        self._services.subscribe(self._service_changed)
        self._slices.subscribe(self._slice_changed)
        self._pods.subscribe(self._pod_changed)
        self._started = True
        self._worker.start()

    def stop(self) -> None:
        """End the loop; what is programmed stays and goes on working."""
        self._stop.set()
        self._wake.set()
        ended = not self._started or self._worker.join(5.0)
        self._health.stop()  # when the loop rings it no more
        if ended:
            self._kernel.close()

    def metrics(self) -> Mapping[str, float]:
        """Counters since the start: rounds, whole replacements, failures, elements written, seconds spent."""
        return dict(self._counters)

    def step(self) -> float | None:
        """Wait for changes, then one round."""
        informers = (self._services, self._slices, self._pods)
        if not all(informer.synced.wait(SYNC_SECONDS) for informer in informers):
            return None
        if self._book is not None:
            self._wake.wait(CHECK_SECONDS)
        began = time.monotonic()
        try:
            self._check()
            keys = self._take()
            if self._book is None:
                self._replace()
            elif keys:
                self._change(self._book, keys)
        except (RulesetError, ConntrackError) as error:
            return self._failed(error)
        except Exception:
            self._book = None
            self._counters["failed"] += 1
            raise
        self._backoff.succeeded()
        self._counters["seconds"] += time.monotonic() - began
        return None

    def _failed(self, error: Exception) -> float:
        """What the kernel holds is unknown now; say why, and when to try again."""
        self._book = None
        self._counters["failed"] += 1
        try:
            reason = self._kernel.lacks()
        except RulesetError:
            reason = ""
        self._said.say(reason or f"Services can't be programmed: {error}")
        return self._backoff.failed()

    def _replace(self) -> None:
        book = Book()
        keys = [meta.key(obj) for obj in self._services.cache.list()]
        keys += [_pod_key(pod) for pod in self._pods.cache.list() if self._has_host_ports(pod)]
        self._checks.clear()
        self._large.clear()
        self._sctp.clear()
        delta = book.change({key: self._wanted(key) for key in keys})
        self._kernel.replace(book.elements, book.needs)
        self._kernel.forget_others(book.flows)
        self._book, self._checked = book, time.monotonic()
        self._counters["replaced"] += 1
        self._health.set(dict(self._checks.values()))
        self._look_around()
        self._count(len(delta.add))

    def _change(self, book: Book, keys: set[str]) -> None:
        checks = dict(self._checks)
        delta = book.change({key: self._wanted(key) for key in book.with_waiting(keys)})
        if delta.again:
            self._mark(delta.again)
        if delta:
            if self._kernel.has_room(delta.needs):
                self._kernel.change(delta)
            else:
                self._kernel.replace(book.elements, book.needs)
            self._kernel.forget(delta)
            self._count(len(delta.add) + len(delta.remove))
        if checks != self._checks:
            self._health.set(dict(self._checks.values()))

    def _count(self, elements: int) -> None:
        self._counters["rounds"] += 1
        self._counters["elements"] += elements
        self._say()

    def _say(self) -> None:
        if self._book is not None:
            large = [f"{key} has {count} endpoints of a port, {MOST_ENDPOINTS} of which are used"
                     for key, count in sorted(self._large.items())]  # fmt: skip
            sctp = self._kernel.without_sctp() if self._sctp else ""
            self._said.say("; ".join(filter(None, [summary(self._book), *large, sctp, self._blocked])))

    def _check(self) -> None:
        now = time.monotonic()
        if self._book is None or now - self._checked < CHECK_SECONDS:
            return
        self._checked = now
        if not self._kernel.intact():
            log.warning("the proxy's nftables table was removed or changed by somebody: making it again")
            self._book = None
        elif now - self._looked > BLOCKED_SECONDS:
            self._look_around()
            self._say()

    def _look_around(self) -> None:
        self._looked = time.monotonic()
        self._blocked = self._kernel.blocked()

    def _wanted(self, key: str) -> model.Service | None:
        namespace, _, name = key.removeprefix(POD).partition("/")
        if key.startswith(POD):
            pod = self._pods.cache.get(namespace, name)
            return model.pod_service(pod, self._home.family) if pod else None
        obj = self._services.cache.get(namespace, name)
        slices = self._slices.cache.index(BY_SERVICE, key)
        home = replace(self._home, silent=self._silent())
        found = model.service(obj, slices, home) if obj else None
        self._checks.pop(key, None)
        self._large.pop(key, None)
        self._sctp.discard(key)
        if found and any(one.protocol == "sctp" for one in found.ports):
            self._sctp.add(key)
        if found and found.check_port:
            self._checks[key] = (found.check_port, Check(namespace, name, found.ready_here))
        most = max(map(len, found.endpoints), default=0) if found else 0
        if most > MOST_ENDPOINTS:
            self._large[key] = most
        return found

    def _take(self) -> set[str]:
        with self._lock:
            keys, self._changed = self._changed, set()
            self._wake.clear()
        return keys

    def _mark(self, keys: set[str]) -> None:
        with self._lock:
            self._changed |= keys
            self._wake.set()

    def look_again(self) -> None:
        """Other hosts have fallen silent, or answer again."""
        self._mark({meta.key(obj) for obj in self._services.cache.list()})

    def _node_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Hints are for zones: who moves to another one plans all Services anew."""
        if meta.name(new or old or {}) != self._home.node or model.zone_of(new) == self._home.zone:
            return
        self._home = replace(self._home, zone=model.zone_of(new))
        self._mark({meta.key(obj) for obj in self._services.cache.list()})

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._mark({meta.key(obj) for obj in (old, new) if obj})

    def _slice_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._mark({owner for obj in (old, new) if obj for owner in by_service(obj)})

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        keys = {_pod_key(pod) for pod in (old, new) if pod and self._has_host_ports(pod)}
        if keys:
            self._mark(keys)

    def _has_host_ports(self, pod: Obj) -> bool:
        return model.has_host_ports(pod, self._home.family)


def _pod_key(pod: Obj) -> str:
    return POD + meta.key(pod)


def summary(book: Book) -> str:
    """What is programmed, as one sentence."""
    fronts = sum(book.size[name] for name in (FRONTS, HOST_FRONTS, NODE_PORTS, HOST_PORTS))
    endpoints = book.size[ENDPOINTS]
    text = (
        f"{len(book.services)} Services or pods with {fronts} fronts and {endpoints} endpoints are programmed"
    )
    if book.waiting:
        text += f"; {len(book.waiting)} addresses or ports are wanted by more than one of them"
    return text
