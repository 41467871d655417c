"""The kubelet's parts, each made with what it needs of the others and of the doors to other rooms. Nothing is
started here, and nothing decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.kubelet.executor import Executor
from mini8s.agent.kubelet.images.folder import ImageFolder
from mini8s.agent.kubelet.images.images import Images
from mini8s.agent.kubelet.images.registries import Registries
from mini8s.agent.kubelet.isolation.cgroup_tree import CgroupTree
from mini8s.agent.kubelet.isolation.isolation import Isolation
from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.node.fence import Fence
from mini8s.agent.kubelet.node.heartbeat import Heartbeat
from mini8s.agent.kubelet.node.upkeep import Upkeep
from mini8s.agent.kubelet.pod_worker import PodWorker
from mini8s.agent.kubelet.probes.hooks import Hooks
from mini8s.agent.kubelet.probes.prober import Prober
from mini8s.agent.kubelet.references import References
from mini8s.agent.kubelet.relist import Relist
from mini8s.agent.kubelet.serving.dialling import Dials
from mini8s.agent.kubelet.serving.logs import Logs
from mini8s.agent.kubelet.serving.sessions import Sessions
from mini8s.agent.kubelet.serving.streams import Streams
from mini8s.agent.kubelet.settings import KubeletSettings
from mini8s.agent.kubelet.starting import Starter
from mini8s.agent.kubelet.static import folder as static_pods
from mini8s.agent.kubelet.static.folder import StaticPods
from mini8s.agent.kubelet.static.mirrors import Mirrors
from mini8s.agent.kubelet.static.sources import Sources
from mini8s.agent.kubelet.status_writer import StatusWriter
from mini8s.agent.kubelet.view import Doom
from mini8s.agent.kubelet.volumes import local_disks
from mini8s.agent.kubelet.volumes.local_volumes import LocalVolumes
from mini8s.agent.kubelet.volumes.tokens import AccountTokens
from mini8s.agent.kubelet.wakes import Wakes
from mini8s.agent.network.base import Ips, PodNetwork
from mini8s.agent.runtime.base import Runtime
from mini8s.client.base import RETRY_SECONDS, Api, EventSink
from mini8s.client.informer import Informers
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import meta
from mini8s.objects.kinds import CONFIGMAPS, NODES, PERSISTENTVOLUMES, PODS, SERVICES, Obj
from mini8s.objects.pods import ROOT_CA
from mini8s.util.clock import Clock, SteadyTime
from mini8s.util.workers import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSetup:
    """What the kubelet is told of its node. `ips` may answer otherwise later; `labels` and `taints` are
    what it registers with."""

    name: str
    ips: Callable[[], Ips]
    data_dir: Path
    cluster_dns: str
    cluster_domain: str
    labels: Mapping[str, str]
    taints: Sequence[Obj]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What the kubelet needs of other rooms. `network_trouble` says why pods can't be connected, "" when they
    can; `metrics` is what other rooms count."""

    rest: Api
    informers: Informers
    runtime: Runtime
    network: PodNetwork
    recorder: EventSink
    clock: Clock
    stop: Stop
    tokens: MutableMapping[str, Obj] | None = None
    network_trouble: Callable[[], str] = lambda: ""
    metrics: Sequence[Callable[[], str]] = ()


class Parts:
    """All of them. Each may only be used by another once all are made."""

    def __init__(
        self,
        node: NodeSetup,
        doors: Doors,
        settings: KubeletSettings,
        policy: Policy,
        registries: Registries,
    ) -> None:
        self._node, self._doors, self._settings = node, doors, settings
        self.pods = doors.informers.of(PODS, fields=f"spec.nodeName={node.name}", indexers={"uid": _by_uid})
        self.services = doors.informers.of(SERVICES)
        self.volumes = doors.informers.of(PERSISTENTVOLUMES)
        self.queue, self._status_queue, self._volume_queue, self._mirror_queue = (
            WorkQueue(most_seconds=RETRY_SECONDS) for _ in range(4)
        )
        self.statuses = StatusWriter(doors.rest, self._status_queue)
        self.wakes = self._make_wakes()
        statics = StaticPods(
            static_pods.folder(node.data_dir), node.name, doors.clock, self.wakes.static_changed
        )
        self.sources = Sources(self.pods, statics, self.known)
        self.mirrors = Mirrors(doors.rest, self.sources, node.name, self._mirror_queue)
        self.relist = Relist(doors.runtime, self.queue.add, doors.stop)
        self.references = self._make_references()
        self._tokens = AccountTokens(doors.rest, doors.clock, doors.tokens)
        self.local_volumes = self._make_local_volumes()
        self._isolation = Isolation(doors.runtime, policy, CgroupTree())
        self._time = SteadyTime(doors.clock)
        self.images = self._make_images(registries)
        self.image_folder = ImageFolder(node.data_dir, doors.runtime, self.images.arrived)
        self.prober = Prober(doors.runtime, doors.recorder, doors.clock, self.wakes.probed)
        self.fence = Fence(settings.lease_seconds, doors.rest, self.pods.cache.list, self.queue.add)
        self.heartbeat = self._make_heartbeat()
        self.worker = self._make_worker()
        self.upkeep = self._make_upkeep()
        self.streams = self._make_streams()

    def known(self) -> bool:
        """Whether it is known which pods the server wants, and what their containers are told."""
        return self.pods.synced.is_set() and self.services.synced.is_set()

    def close(self) -> None:
        """End what the threads wait for."""
        for queue in (self.queue, self._status_queue, self._volume_queue, self._mirror_queue):
            queue.shut_down()
        self.prober.close()
        self.images.close()
        self.relist.wake()
        self.heartbeat.wake()
        self.upkeep.shutdown.close()
        self.references.close()
        self._doors.runtime.close()

    def _make_wakes(self) -> Wakes:
        return Wakes(
            queue=self.queue,
            mirrors=self._mirror_queue,
            statuses=self.statuses,
            relist=lambda: self.relist,
            worker=lambda: self.worker,
        )

    def _make_images(self, registries: Registries) -> Images:
        return Images(
            self._doors.runtime,
            self._doors.recorder,
            self._time,
            self.wakes.again,
            registries=registries,
            lookup=self.references.lookup,
        )

    def _make_worker(self) -> PodWorker:
        return PodWorker(
            self._make_executor(),
            self.images,
            self.prober,
            self.references,
            self._tokens,
            self.statuses,
            self.sources.wanted,
            self.sources.shown_by,
            lambda: self.pods.heard,
            self._refusal,
            self.pods.cache.list,
            self.fence.lost,
            self.fence.may_begin,
        )

    def _make_streams(self) -> Streams:
        pod_of = self.sources.named
        return Streams(
            Logs(self._doors.runtime, pod_of),
            self.upkeep.documents(self._node.name, self.pods.cache.list, self._doors.metrics),
            Sessions(self._doors.runtime, pod_of),
            Dials(pod_of, self._node.ips),
            self._doors.clock,
        )

    def _refusal(self, pod: Obj) -> Doom | None:
        return self.upkeep.refusal(pod)  # made after the worker, whose pods it looks at

    def _make_upkeep(self) -> Upkeep:
        return Upkeep(
            settings=self._settings,
            data_dir=self._node.data_dir,
            runtime=self._doors.runtime,
            heartbeat=self.heartbeat,
            folder=self.image_folder,
            events=self._doors.recorder,
            running=self.worker.running,
            pod_of=self.sources.wanted,
            doom=self.wakes.doom,
            claimed=self.local_volumes.of_claim,
            clock=self._doors.clock,
            stop=self._doors.stop,
        )

    def _make_heartbeat(self) -> Heartbeat:
        nodes = self._doors.informers.of(NODES)  # the network's
        return Heartbeat(
            api=self._doors.rest,
            runtime=self._doors.runtime,
            name=self._node.name,
            ips=self._node.ips,
            labels=self._node.labels,
            taints=self._node.taints,
            data_dir=self._node.data_dir,
            clock=self._doors.clock,
            engine_trouble=lambda: self.relist.trouble,
            network_trouble=self._doors.network_trouble,
            settings=self._settings,
            events=self._doors.recorder,
            pressures=lambda: self.upkeep.evictor.conditions,
            shutting_down=lambda: self.upkeep.shutdown.begun,
            fence=self.fence,
            shown=lambda: nodes.cache.get("", self._node.name) if nodes.following else None,
        )

    def _make_references(self) -> References:
        informers = self._doors.informers
        certificates = informers.of(CONFIGMAPS, fields=f"metadata.name={ROOT_CA}")
        return References(self._doors.rest, self.wakes.again, self.volumes, certificates, informers.memory)

    def _make_local_volumes(self) -> LocalVolumes:
        return LocalVolumes(
            api=self._doors.rest,
            events=self._doors.recorder,
            cache=self.volumes.cache,
            node=self._node.name,
            disks=local_disks.LocalDisks(local_disks.folder(self._node.data_dir)),
            queue=self._volume_queue,
        )

    def _make_executor(self) -> Executor:
        doors = self._doors
        starter = Starter(
            runtime=doors.runtime,
            images=self.images,
            lookup=self.references.lookup,
            tokens=self._tokens,
            disk=self.local_volumes.folder,
            isolation=self._isolation,
            services=self.services.cache.list,
            events=doors.recorder,
            cluster_dns=self._node.cluster_dns,
            cluster_domain=self._node.cluster_domain,
        )
        return Executor(
            runtime=doors.runtime,
            network=doors.network,
            starter=starter,
            hooks=Hooks(doors.runtime, doors.recorder, self._time, self.queue.add),
            isolation=self._isolation,
            events=doors.recorder,
            clock=doors.clock,
            time=self._time,
            host_addresses=self._node.ips,
            allocatable=self.heartbeat.allocatable,
            data_dir=self._node.data_dir,
        )


def _by_uid(pod: Obj) -> tuple[str, ...]:
    return (meta.uid(pod),)
