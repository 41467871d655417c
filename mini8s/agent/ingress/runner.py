"""Ingresses on this host: what is wanted is planned, and the proxy is brought to it.

Nothing runs before there is an Ingress of our class, and only on hosts that are chosen for it: no port is
taken and no memory used for nothing. What stands in the way (no haproxy, a port in use) is one sentence, and
is tried again; all else of the agent goes on. When the agent ends, the proxy stays, as the pods do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.ingress import haproxy, model, ports
from mini8s.agent.ingress.exposition import exposition
from mini8s.agent.ingress.model import Picture
from mini8s.agent.ingress.plan import Plan, Problem, plan, slots
from mini8s.agent.ingress.process import HaProxy, ProxyError
from mini8s.agent.ingress.secrets import Certificates
from mini8s.agent.network.facts import BY_SERVICE, by_service
from mini8s.client.base import Api, EventSink
from mini8s.client.informer import Informers
from mini8s.objects import host_ports, ingresses, meta
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import ENDPOINTSLICES, INGRESSCLASSES, INGRESSES, NODES, PODS, SERVICES, Obj
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0  # how soon a proxy that died is noticed, and what stood in the way tried again
IDLE_SECONDS = 60.0  # between two looks where nothing is to be served
SYNC_SECONDS = 0.5  # between two looks whether all is known
GATHER_SECONDS = 0.05  # what belongs together comes within this
SECRET_SECONDS = 5.0  # that a first round waits to hear of a Secret


@dataclass(frozen=True, slots=True)
class Setup:
    """`default_certificate` makes one for this host, for whoever asks for a name that there is none for; it
    raises OSError."""

    node_name: str
    folder: Path
    http_port: int
    https_port: int
    default_certificate: Callable[[], bytes]


class Ingress:
    """The room. `sentence` says how it is."""

    def __init__(self, setup: Setup, api: Api, informers: Informers, recorder: EventSink, stop: Stop) -> None:
        self._setup, self._api, self._recorder, self._stop = setup, api, recorder, stop
        self._ingresses, self._classes = informers.of(INGRESSES), informers.of(INGRESSCLASSES)
        self._services = informers.of(SERVICES, indexers={host_ports.OUTWARD: host_ports.outward})
        self._nodes = informers.of(NODES)
        self._slices = informers.of(ENDPOINTSLICES, indexers={BY_SERVICE: by_service})
        self._pods = informers.of(PODS, fields=f"spec.nodeName={setup.node_name}")
        self._informers = (
            self._ingresses, self._classes, self._services, self._nodes, self._slices, self._pods,
        )  # fmt: skip
        self._wake = threading.Event()
        self._certificates = Certificates(api, informers.memory, self._wake.set)
        self._proxy = HaProxy(setup.folder)
        self._default = b""
        self._busy = True  # until the first look has shown otherwise
        self._room: dict[str, int] = {}  # slots by backend
        self._told: frozenset[Problem] = frozenset()
        self._taken: list[str] = []  # ports of this host that somebody else has
        self._said, self._said_of_node = OnChange(log), OnChange(log)
        self._worker = Worker("ingress", self.step, stop)
        self.counters = {"reloads": 0, "changes": 0, "failures": 0}
        self._plan = Plan()

    @property
    def sentence(self) -> str:
        return self._said.sentence

    def metrics(self) -> str:
        """For Prometheus."""
        return exposition(self.counters, self._plan)

    def start(self) -> None:
        for informer in self._informers:
            informer.subscribe(self._pod_changed if informer is self._pods else self._changed)
        self._wake.set()
        self._worker.start()

    def stop(self) -> None:
        """End the loop; the proxy stays."""
        self._stop.set()
        self._wake.set()
        self._worker.join(5.0)
        self._certificates.close()

    def step(self) -> float:
        """Wait for changes, gather them, do one round."""
        self._wake.wait(CHECK_SECONDS if self._busy else IDLE_SECONDS)
        self._stop.wait(GATHER_SECONDS)
        if self._stop or not all(informer.synced.is_set() for informer in self._informers):
            return SYNC_SECONDS
        self._wake.clear()
        try:
            self._said.say(self._round())
        except (ProxyError, OSError) as error:
            self.counters["failures"] += 1
            self._said.say(f"Ingresses are not served as they should be: {error}")
            self._announce(self._ports if self._proxy.runs and not self._taken else "")
        return 0.0

    def _round(self) -> str:
        if not all(informer.heard for informer in self._informers) and self._proxy.runs:
            # what this agent knows from before may lack what the proxy was told last
            return "what the proxy serves goes on until the server is heard"
        picture = Picture(self._ingresses.cache.list(), self._classes.cache.list())
        found = model.ours(picture)
        chosen = ingresses.chosen(self._nodes.cache.list())
        self._busy = bool(found) and self._setup.node_name in chosen
        if not self._busy:
            self._certificates.follow(())
            self._plan = Plan()
            self._proxy.stop()
            self._announce("")
            self._told, self._taken = frozenset(), []
            return "no Ingress is to be served here"
        self._certificates.follow(model.wanted_secrets(found))
        if not self._certificates.known(SECRET_SECONDS):
            return "Ingresses wait for their Secrets"
        self._plan = plan(self._whole(picture, found))
        self._bring(self._plan)
        self._taken = self._look_at_ports(found)
        self._announce("" if self._taken else self._ports)
        mine = (
            self._plan.problems if self._setup.node_name == min(chosen) else ()
        )  # one host says it, not all
        self._tell((*mine, *self._not_here(found)))
        count = self._plan.ingresses
        served = "1 Ingress is served" if count == 1 else f"{count} Ingresses are served"
        return "; ".join((f"{served} on ports {self._ports.replace(',', ' and ')}", *self._taken))

    def _look_at_ports(self, found: list[Obj]) -> list[str]:
        node = self._nodes.cache.get("", self._setup.node_name)
        wanted = (self._setup.http_port, self._setup.https_port)
        if node is None:
            return []
        services = self._services.cache.index(host_ports.OUTWARD, host_ports.EVERY)
        return ports.taken(found, wanted, node, services, self._pods.cache.list())

    def _not_here(self, found: list[Obj]) -> Iterator[Problem]:
        if self._taken:
            said = f"not served at {self._setup.node_name}: {'; '.join(self._taken)}"
            yield from (Problem(one, meta.key(one), "PortTaken", said) for one in found)

    def _whole(self, picture: Picture, found: list[Obj]) -> Picture:
        """With the Services that they name."""
        backends = {rule.backend for ingress in found for rule in model.rules(ingress) if rule.backend}
        keys = {(one.namespace, one.service) for one in backends}
        services = {f"{key[0]}/{key[1]}": self._services.cache.get(*key) for key in keys}
        slices = {key: self._slices.cache.index(BY_SERVICE, key) for key in services}
        known = {key: service for key, service in services.items() if service is not None}
        return Picture(picture.ingresses, picture.classes, known, slices, self._certificates.found())

    def _bring(self, wanted: Plan) -> None:
        """Make the proxy do it: in its slots where that is enough, else by a new configuration."""
        host = self._proxy.host(self._setup.http_port, self._setup.https_port)
        self._default = self._default or self._setup.default_certificate()
        self._room = {
            name: slots(len(pool.addresses), self._room.get(name, 0)) for name, pool in wanted.pools.items()
        }
        pems = {key: one.pem for key, one in self._certificates.found().items()}
        made = haproxy.configuration(wanted, host, str(self._proxy.folder), self._room, pems, self._default)
        if self._proxy.version() != made.version:
            self._proxy.run(made, host)
            self.counters["reloads"] += 1
        else:
            self.counters["changes"] += self._proxy.tell(haproxy.commands(self._proxy.occupied(), made.slots))

    @property
    def _ports(self) -> str:
        return f"{self._setup.http_port},{self._setup.https_port}"

    def _announce(self, ports: str) -> None:
        """Say on our Node whether Ingresses are served here: their status is made of that."""
        node = self._nodes.cache.get("", self._setup.node_name)
        if node is None or meta.annotations(node).get(ingresses.SERVED, "") == ports:
            return
        change = {"metadata": {"annotations": {ingresses.SERVED: ports or None}}}
        try:
            self._api.patch(NODES, "", self._setup.node_name, change)
        except ApiError as error:
            self._said_of_node.say(f"the server was not told where Ingresses are served: {error}")

    def _tell(self, problems: tuple[Problem, ...]) -> None:
        for problem in problems:
            if problem not in self._told:
                self._recorder.event(problem.ingress, "Warning", problem.reason, problem.message)
        self._told = frozenset(problems)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        """Heartbeats of nodes and the like make no difference, and cost a round of some milliseconds."""
        if old and new and old.get("kind") == NODES.kind and _as_seen(old) == _as_seen(new):
            return
        self._wake.set()

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        before, after = (host_ports.every(pod) if pod else set() for pod in (old, new))
        if before != after:
            self._wake.set()


def _as_seen(node: Obj) -> tuple[object, ...]:
    addresses = (node.get("status") or {}).get("addresses")
    return meta.labels(node).get(ingresses.WANTED), meta.annotations(node).get(ingresses.SERVED), addresses
