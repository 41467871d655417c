"""Keeps the server knowing this node: registers it, renews its lease, and writes its status when it changed.

The lease is the cheap sign of life, every ten seconds, by a thread of its own: an engine that hangs holds up
what is said of it, not the word that this node is there. The status is written on change, and every five
minutes at the least.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mini8s.agent.kubelet.node import host, node
from mini8s.agent.kubelet.node.fence import Fence
from mini8s.agent.kubelet.settings import KubeletSettings
from mini8s.agent.kubelet.volumes import local_disks
from mini8s.agent.network.base import Ips
from mini8s.agent.runtime.base import EngineDown
from mini8s.agent.runtime.records import EngineInfo, Image
from mini8s.client.base import RETRY_SECONDS, Api, EventSink
from mini8s.client.lease import Lease
from mini8s.objects import claims, meta
from mini8s.objects.errors import ApiError, NotFound
from mini8s.objects.kinds import NODES, Obj
from mini8s.util.backoff import Backoff
from mini8s.util.clock import Clock
from mini8s.util.log import OnChange

log = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
FIRST_RETRY_SECONDS = 0.2  # a node that starts is ready a moment later
STATUS_SECONDS = 300.0
LEASE_NAMESPACE = "kube-node-lease"


class Engine(Protocol):
    """What a node says of its engine. Both raise EngineDown."""

    def info(self) -> EngineInfo: ...

    def images(self) -> Sequence[Image]: ...


class Heartbeat:
    """`engine_trouble` and `network_trouble` answer "" when all is well; `pressures` are conditions that
    hold. `shown` is the node as a watch on the server shows it now, None when none does."""

    def __init__(  # noqa: PLR0913 - each says another thing of the node
        self,
        *,
        api: Api,
        runtime: Engine,
        name: str,
        ips: Callable[[], Ips],
        labels: Mapping[str, str],
        taints: Sequence[Obj],
        data_dir: Path,
        clock: Clock,
        engine_trouble: Callable[[], str],
        network_trouble: Callable[[], str],
        settings: KubeletSettings,
        events: EventSink,
        pressures: Callable[[], frozenset[str]] = frozenset,
        shutting_down: Callable[[], bool] = lambda: False,
        fence: Fence | None = None,
        facts: host.HostFacts | None = None,
        shown: Callable[[], Obj | None] = lambda: None,
    ) -> None:
        self.registered = False
        self.pod_cidr = ""  # the range of its pods' addresses, once the server has given it one
        self.renewed: float | None = None  # when the server last took the sign of life, monotonic
        self._api, self._runtime, self._clock = api, runtime, clock
        self._name, self._ips = name, ips
        self._labels, self._taints = labels, taints
        self._data_dir = data_dir
        self._engine_trouble, self._network_trouble = engine_trouble, network_trouble
        self._settings, self._events = settings, events
        self._pressures, self._shutting_down = pressures, shutting_down
        self._fence = fence
        self._host = facts or host.facts(data_dir)
        self._shown = shown
        self._due = threading.Event()
        self._engine: EngineInfo | None = None
        self._written = 0.0  # when its status was written, monotonic
        self._revision = 0  # which that made
        self._lease: Lease | None = None
        self._said = OnChange(log)
        self._pause = Backoff(first=FIRST_RETRY_SECONDS, most=RETRY_SECONDS)
        self._renewal = Backoff(first=FIRST_RETRY_SECONDS, most=RETRY_SECONDS)

    @property
    def allocatable(self) -> Mapping[str, str]:
        return node.allocatable(self._host, self._settings)

    @property
    def engine_root(self) -> str:
        """The engine's own folder, "" until it has said which."""
        return self._engine.root if self._engine else ""

    def beat(self) -> None:
        """One round, and the wait for the next."""
        self._due.wait(self.step())
        self._due.clear()

    def wake(self) -> None:
        """There is something new to say."""
        self._due.set()

    def tell(self, type: str, reason: str, message: str) -> None:
        """An event about this node; as the kubelet does it, under its name for a uid."""
        about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name, "uid": self._name}}
        self._events.event(about, type, reason, message)

    def step(self) -> float:
        """One round; seconds until the next."""
        try:
            facts = self._facts()
            self._round(facts)
            trouble = facts.engine_trouble or facts.network_trouble
        except ApiError as error:
            trouble = str(error)
        self._said.say(f"node {self._name}: {trouble or 'ready'}")
        if trouble:
            return self._pause.failed()
        self._pause.succeeded()
        return EVERY_SECONDS

    def renew(self) -> float:
        """One round of the lease, once the node is registered; seconds until the next."""
        if self._lease is None:
            return self._renewal.failed()
        asked = self._fence.ticks() if self._fence else 0.0
        try:
            held, why = self._lease.hold(), "somebody else writes it"
        except ApiError as error:
            held, why = False, str(error)
        if not held:
            log.debug("the lease of %s is not renewed: %s", self._name, why)  # the status says it louder
            return self._renewal.failed()
        self._renewal.succeeded()
        self.renewed = self._clock.monotonic()
        if self._fence:
            self._fence.renewed(asked)
        return min(EVERY_SECONDS, self._settings.lease_seconds / 4)

    def _round(self, facts: node.NodeFacts) -> None:
        """What the server has is looked at anew each time: others write into it too."""
        found = self._shown() if self.registered else None
        if found is None or meta.revision(found) < self._revision:
            found = self._read(facts)
        if not self.registered:
            self._register(found, facts)
        self.pod_cidr = (found.get("spec") or {}).get("podCIDR", "")
        self._write_status(found.get("status") or {}, facts)

    def _read(self, facts: node.NodeFacts) -> Obj:
        try:
            return self._api.get(NODES, "", self._name)
        except NotFound:
            self.registered = False
            return self._api.create(NODES, node.node(facts))

    def _register(self, found: Obj, facts: node.NodeFacts) -> None:
        """Adopt the node: its taints, and labels that others gave it, stay as they are."""
        missing = {
            "labels": dict(node.labels(facts).items() - meta.labels(found).items()),
            "annotations": dict(facts.annotations.items() - meta.annotations(found).items()),
        }
        if any(missing.values()):
            self._api.patch(NODES, "", self._name, {"metadata": missing})
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": meta.uid(found)}
        self._lease = Lease(
            self._api,
            LEASE_NAMESPACE,
            self._name,
            self._name,
            self._clock,
            seconds=self._settings.lease_seconds,
            owners=(owner,),
        )
        self.registered = True

    def _write_status(self, old: Obj, facts: node.NodeFacts) -> None:
        new = node.status(facts, old)
        due = self._clock.monotonic() - self._written >= STATUS_SECONDS
        if self._written and not due and not node.differs(old, new):
            return
        made = self._api.patch_status(NODES, "", self._name, {"status": new})
        self._revision = meta.revision(made)
        self._written = self._clock.monotonic() or 1e-9
        for reason in node.changes(old, new):
            self.tell("Normal", reason, f"Node {self._name} status is now: {reason}")

    def _facts(self) -> node.NodeFacts:
        trouble, images = self._ask_engine()
        return node.NodeFacts(
            name=self._name,
            ips=self._ips(),
            host=self._host,
            settings=self._settings,
            pressures=self._pressures(),
            shutting_down=self._shutting_down(),
            now=self._clock.now(),
            engine=self._engine,
            engine_trouble=trouble,
            network_trouble=self._network_trouble(),
            images=images,
            labels=self._labels,
            taints=self._taints,
            annotations={claims.OUR_FOLDER: str(local_disks.folder(self._data_dir))},
        )

    def _ask_engine(self) -> tuple[str, Sequence[Image]]:
        """What is wrong with it, and the images it has."""
        trouble = self._engine_trouble()
        if trouble:
            return trouble, ()
        try:
            self._engine = self._engine or self._runtime.info()
            return "", self._runtime.images()
        except EngineDown as error:
            return str(error), ()
