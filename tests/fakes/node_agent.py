"""A node's pod worker over fakes, driven by hand: no thread, no waiting, and an agent that can be killed at
any call of the engine and started again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.api import FakeApi, FakeEvents
from fakes.network import FakeNetwork
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.executor import Executor
from mini8s.agent.kubelet.images.images import Images
from mini8s.agent.kubelet.isolation.cgroup_tree import CgroupTree
from mini8s.agent.kubelet.isolation.isolation import Isolation
from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.lookup import Lookup
from mini8s.agent.kubelet.pod_worker import PodWorker
from mini8s.agent.kubelet.probes.hooks import Hooks
from mini8s.agent.kubelet.probes.prober import Prober
from mini8s.agent.kubelet.references import References
from mini8s.agent.kubelet.starting import Starter
from mini8s.agent.kubelet.status_writer import StatusWriter
from mini8s.agent.kubelet.volumes.tokens import AccountTokens
from mini8s.client.informer import Informer
from mini8s.client.workqueue import WorkQueue
from mini8s.objects.kinds import CONFIGMAPS, PERSISTENTVOLUMES, PODS, Kind, Obj
from mini8s.objects.pods import ROOT_CA
from mini8s.util.clock import FakeClock, SteadyTime
from mini8s.util.workers import Stop

IMAGE = "app:1"


def pod(name: str = "web", *containers: Obj, **spec: Any) -> Obj:
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"nodeName": "n1", "containers": list(containers) or [container("c")], **spec},
    }


def container(name: str, **more: Any) -> Obj:
    return {"name": name, "image": IMAGE, **more}


class Killed(BaseException):
    """kill -9 of the agent."""


@dataclass
class NodeAgent:
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    objects: dict[tuple[str, str, str], Obj] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.api = FakeApi(now=self.clock.now)
        self.runtime = FakeRuntime(self.clock.now, local={IMAGE})
        self.network, self.events = FakeNetwork(), FakeEvents()
        self.told: Callable[[], bool] = lambda: True
        self.before: dict[str, Obj] = {}  # by uid, pods of which only this is known
        self.lost: Callable[[Obj], bool] = lambda _pod: False
        self.may_begin: Callable[[Obj], bool] = lambda _pod: True
        self.start()

    def start(self) -> None:
        """A new agent, which remembers nothing."""
        self.queue = WorkQueue(self.clock.monotonic)
        time = SteadyTime(self.clock)
        self.images = Images(self.runtime, self.events, time, self._again)
        self.hooks = Hooks(self.runtime, self.events, time, self.queue.add)
        self.prober = Prober(self.runtime, self.events, self.clock, self.queue.add)
        self.statuses = StatusWriter(self.api, self.queue)
        self.tokens = AccountTokens(self.api, self.clock, random=lambda: 0.0)
        (self.folder / "cgroup").mkdir(exist_ok=True)
        self.isolation = isolation = Isolation(self.runtime, self.policy, CgroupTree(self.folder / "cgroup"))
        starter = Starter(
            runtime=self.runtime,
            images=self.images,
            lookup=self._lookup(),
            tokens=self.tokens,
            disk=self.disk,
            isolation=isolation,
            services=list,
            events=self.events,
            cluster_dns="10.43.0.10",
            cluster_domain="cluster.local",
        )
        executor = Executor(
            runtime=self.runtime,
            network=self.network,
            starter=starter,
            hooks=self.hooks,
            isolation=isolation,
            events=self.events,
            clock=self.clock,
            time=time,
            host_addresses=lambda: ("10.99.0.11",),
            allocatable={"cpu": "2", "memory": "4Gi"},
            data_dir=self.folder,
        )
        volumes = Informer(self.api, PERSISTENTVOLUMES, Stop())
        certificates = Informer(self.api, CONFIGMAPS, Stop(), fields=f"metadata.name={ROOT_CA}")
        references = References(self.api, self.queue.add, volumes, certificates)
        self.worker = PodWorker(
            executor,
            self.images,
            self.prober,
            references,
            self.tokens,
            self.statuses,
            self.wanted,
            told=self._is_told,
            lost=self.lost,
            may_begin=self.may_begin,
        )

    def disk(self, volume: Obj) -> Path:
        """The folder of a PersistentVolume that lies on this host."""
        path = self.folder / "storage" / str(volume["metadata"]["name"])
        path.mkdir(parents=True, exist_ok=True)
        return path

    def wanted(self, uid: str) -> Obj | None:
        there = (one for one in self.api.list(PODS).items if one["metadata"]["uid"] == uid)
        return self.before.get(uid) or next(there, None)

    def _is_told(self) -> bool:
        return self.told()

    def _again(self, uid: str) -> None:
        self.worker.retry(uid)

    def sync(self, uid: str) -> float | None:
        """One round of a pod, and its status written."""
        wake = self.worker.sync(uid)
        self.statuses.write(uid)
        return wake

    def create(self, made: Obj) -> str:
        uid: str = self.api.create(PODS, made)["metadata"]["uid"]
        self.sync(uid)
        return uid

    def status(self, name: str = "web") -> Obj:
        status: Obj = self.api.get(PODS, "default", name)["status"]
        return status

    def container(self, name: str = "web", place: int = 0) -> Obj:
        found: Obj = self.status(name)["containerStatuses"][place]
        return found

    def _lookup(self) -> Lookup:
        def lookup(kind: Kind, namespace: str, name: str) -> Obj | None:
            return self.objects.get((kind.plural, namespace, name))

        return lookup
