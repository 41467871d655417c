"""The kubelet of a node, put together: informers and the engine's events fill one queue of pods, a few
workers empty it, and beside them run the probes, the puller, the status writer and the heartbeat.

It ends without touching a pod, and begins by adopting what runs.
"""

from __future__ import annotations

import logging
import os
import time
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
from mini8s.agent.kubelet.node.heartbeat import Heartbeat
from mini8s.agent.kubelet.node.upkeep import Upkeep
from mini8s.agent.kubelet.pod_folder import all_uids
from mini8s.agent.kubelet.pod_worker import PodWorker
from mini8s.agent.kubelet.probes.hooks import Hooks
from mini8s.agent.kubelet.probes.prober import Prober
from mini8s.agent.kubelet.references import References
from mini8s.agent.kubelet.relist import Relist
from mini8s.agent.kubelet.serving.dialling import Dials
from mini8s.agent.kubelet.serving.logs import Logs
from mini8s.agent.kubelet.serving.sessions import Sessions
from mini8s.agent.kubelet.serving.streams import Streams
from mini8s.agent.kubelet.settings import DEFAULTS, KubeletSettings
from mini8s.agent.kubelet.starting import Starter
from mini8s.agent.kubelet.static import folder as static_pods
from mini8s.agent.kubelet.static.folder import StaticPods
from mini8s.agent.kubelet.static.manifests import is_mirror
from mini8s.agent.kubelet.static.mirrors import Mirrors
from mini8s.agent.kubelet.static.sources import Sources
from mini8s.agent.kubelet.status_writer import StatusWriter
from mini8s.agent.kubelet.view import Doom
from mini8s.agent.kubelet.volumes import local_disks
from mini8s.agent.kubelet.volumes.local_volumes import LocalVolumes
from mini8s.agent.kubelet.volumes.tokens import AccountTokens
from mini8s.agent.network.base import PodNetwork
from mini8s.agent.runtime.base import EngineDown, Runtime
from mini8s.client.base import RETRY_SECONDS, Api, EventSink
from mini8s.client.informer import Informers
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import meta, pods
from mini8s.objects.kinds import CONFIGMAPS, PERSISTENTVOLUMES, PODS, SERVICES, Obj
from mini8s.objects.pods import MIRROR, ROOT_CA
from mini8s.util.clock import Clock, SteadyTime
from mini8s.util.log import OnChange
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

# Twice the cores: half of a pod's start is waiting for the engine, which more starts at once only slow down.
WORKERS = min(16, 2 * len(os.sched_getaffinity(0)))
NETWORK_SECONDS = 10.0  # how long a start waits for the pods' network
UNTOLD_SECONDS = 1.0  # how soon it is asked again whether it is known which pods are wanted
ENGINE_SECONDS = 1.0  # how soon an engine that was away is asked again for its images
IMAGES_EVERY_SECONDS = 10.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSetup:
    """What the kubelet is told of its node. `labels` and `taints` are what it registers with."""

    name: str
    ip: str
    data_dir: Path
    cluster_dns: str
    cluster_domain: str
    labels: Mapping[str, str]
    taints: Sequence[Obj]


class Kubelet:
    """Runs this node's pods. `ready` once it knows them, from the server or from before, and the engine
    answers. `network_trouble`
    says why pods can't be connected, "" when they can."""

    def __init__(  # noqa: PLR0913 - a composition root: every argument is another room's door
        self,
        *,
        rest: Api,
        informers: Informers,
        runtime: Runtime,
        network: PodNetwork,
        node_name: str,
        node_ip: str,
        data_dir: Path | str,
        cluster_dns: str,
        cluster_domain: str,
        labels: Mapping[str, str],
        taints: Sequence[Obj],
        clock: Clock,
        stop: Stop,
        recorder: EventSink,
        network_trouble: Callable[[], str] = lambda: "",
        tokens: MutableMapping[str, Obj] | None = None,
        policy: Policy | None = None,
        registries: Registries | None = None,
        settings: KubeletSettings = DEFAULTS,
    ) -> None:
        self._rest, self._runtime, self._network = rest, runtime, network
        self._clock, self._stop, self._recorder = clock, stop, recorder
        self._settings, self._network_trouble = settings, network_trouble
        self._node = NodeSetup(
            name=node_name,
            ip=node_ip,
            data_dir=Path(data_dir),
            cluster_dns=cluster_dns,
            cluster_domain=cluster_domain,
            labels=labels,
            taints=taints,
        )
        self._pods = informers.of(PODS, fields=f"spec.nodeName={node_name}", indexers={"uid": _by_uid})
        self._services, self._volumes = informers.of(SERVICES), informers.of(PERSISTENTVOLUMES)
        self._queue, self._status_queue, self._volume_queue, self._mirror_queue = (
            WorkQueue(most_seconds=RETRY_SECONDS) for _ in range(4)
        )
        statics = StaticPods(static_pods.folder(self._node.data_dir), node_name, clock, self._static_changed)
        self._sources = Sources(self._pods, statics, self._known)
        self._mirrors = Mirrors(rest, self._sources, node_name, self._mirror_queue)
        self._said, self._began = OnChange(log), 0.0
        self._threads: list[Worker] = []
        self._relist = Relist(self._runtime, self._queue.add, self._stop)
        self._references = self._make_references(informers)
        self._tokens = AccountTokens(self._rest, self._clock, tokens)
        self._local_volumes = self._make_local_volumes()
        self._isolation = Isolation(self._runtime, policy or Policy(), CgroupTree())
        self._time = SteadyTime(self._clock)
        self._images = self._make_images(registries or Registries())
        self._folder = ImageFolder(self._node.data_dir, self._runtime, self._images.arrived)
        self._prober = Prober(self._runtime, self._recorder, self._clock, self._probed)
        self._statuses = StatusWriter(self._rest, self._status_queue)
        self._heartbeat = self._make_heartbeat()
        self._worker = self._make_worker()
        self._upkeep = self._make_upkeep()
        self.streams = self._make_streams()

    def _make_images(self, registries: Registries) -> Images:
        return Images(
            self._runtime,
            self._recorder,
            self._time,
            self._again,
            registries=registries,
            lookup=self._references.lookup,
        )

    def _make_worker(self) -> PodWorker:
        return PodWorker(
            self._make_executor(),
            self._images,
            self._prober,
            self._references,
            self._tokens,
            self._statuses,
            self._sources.wanted,
            self._sources.shown_by,
            self._refusal,
            self._pods.cache.list,
        )

    def _make_streams(self) -> Streams:
        pod_of = self._sources.named
        return Streams(
            Logs(self._runtime, pod_of),
            self._upkeep.documents(self._node.name, self._pods.cache.list),
            Sessions(self._runtime, pod_of),
            Dials(pod_of, self._node.ip),
            self._clock,
        )

    def _make_upkeep(self) -> Upkeep:
        return Upkeep(
            settings=self._settings,
            data_dir=self._node.data_dir,
            runtime=self._runtime,
            heartbeat=self._heartbeat,
            folder=self._folder,
            events=self._recorder,
            running=self._worker.running,
            pod_of=self._sources.wanted,
            doom=self._doom,
            clock=self._clock,
            stop=self._stop,
        )

    def _make_heartbeat(self) -> Heartbeat:
        return Heartbeat(
            api=self._rest,
            runtime=self._runtime,
            name=self._node.name,
            ip=self._node.ip,
            labels=self._node.labels,
            taints=self._node.taints,
            data_dir=self._node.data_dir,
            clock=self._clock,
            engine_trouble=lambda: self._relist.trouble,
            network_trouble=self._network_trouble,
            settings=self._settings,
            events=self._recorder,
            pressures=lambda: self._upkeep.evictor.conditions,
            shutting_down=lambda: self._upkeep.shutdown.begun,
        )

    def _make_references(self, informers: Informers) -> References:
        certificates = informers.of(CONFIGMAPS, fields=f"metadata.name={ROOT_CA}")
        return References(self._rest, self._again, self._volumes, certificates, informers.memory)

    def _make_local_volumes(self) -> LocalVolumes:
        return LocalVolumes(
            api=self._rest,
            events=self._recorder,
            cache=self._volumes.cache,
            node=self._node.name,
            disks=local_disks.LocalDisks(local_disks.folder(self._node.data_dir)),
            queue=self._volume_queue,
        )

    def _make_executor(self) -> Executor:
        starter = Starter(
            runtime=self._runtime,
            images=self._images,
            lookup=self._references.lookup,
            tokens=self._tokens,
            disk=self._local_volumes.folder,
            isolation=self._isolation,
            services=self._services.cache.list,
            events=self._recorder,
            cluster_dns=self._node.cluster_dns,
            cluster_domain=self._node.cluster_domain,
        )
        return Executor(
            runtime=self._runtime,
            network=self._network,
            starter=starter,
            hooks=Hooks(self._runtime, self._recorder, self._time, self._queue.add),
            isolation=self._isolation,
            events=self._recorder,
            clock=self._clock,
            time=self._time,
            host_ip=self._node.ip,
            allocatable=self._heartbeat.allocatable,
            data_dir=self._node.data_dir,
        )

    @property
    def ready(self) -> bool:
        known_from_before = self._pods.synced.is_set() and not self._pods.heard
        return (self._heartbeat.registered or known_from_before) and not self._relist.trouble

    def start(self) -> None:
        """Return at once; pods are touched only when it is known which ones the server wants."""
        self._began = self._clock.monotonic()
        self._folder.prepare()
        self._pods.once_heard(self._look_at_all)
        self._pods.once_heard(self._mirrors.look_at_all)
        self._pods.subscribe(self._pod_changed)
        self._pods.start()
        self._services.start()
        self._volumes.subscribe(self._local_volumes.changed)
        self._volumes.start()
        loops: list[tuple[str, Callable[[], float | None]]] = [
            ("heartbeat", self._heartbeat.beat),
            ("lease", self._heartbeat.renew),
            ("engine-events", self._relist.listen),
            ("engine-relist", self._watch_engine),
            ("image-folder", self._scan_images),
            ("image-pull", self._images.pull_next),
            ("upkeep", lambda: self._upkeep.step() if self._known() else UNTOLD_SECONDS),
            ("probes", self._prober.step),
            ("status", self._statuses.step),
            ("local-volumes", self._local_volumes.step),
            ("static-pods", self._sources.statics.scan),
            ("mirrors", self._mirrors.step),
            *((f"pods-{number}", self._work) for number in range(WORKERS)),
        ]
        if self._upkeep.shutdown.wanted:
            loops.append(("shutdown", self._upkeep.shutdown.step))
        self._threads = [Worker(name, step, self._stop).start() for name, step in loops]

    def stop(self) -> None:
        """End the threads within a few seconds. The pods go on."""
        self._stop.set()
        self._queue.shut_down()
        self._status_queue.shut_down()
        self._volume_queue.shut_down()
        self._mirror_queue.shut_down()
        self._prober.close()
        self._images.close()
        self._relist.wake()
        self._heartbeat.wake()
        self._upkeep.shutdown.close()
        self._references.close()
        self._runtime.close()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        """One pod's round."""
        if not self._may_begin:
            self._stop.wait(0.1)
            return
        uid = self._queue.get()
        if uid is None:
            return
        try:
            wait = self._sources.wait(uid)
            wake = wait if wait != 0 else self._worker.sync(uid)
        except EngineDown as error:
            self._said.say(f"pods wait for the container engine: {error}")
            self._queue.add_rate_limited(uid)
        except Exception:
            log.exception("pod %s failed and is tried again", uid)
            self._queue.add_rate_limited(uid)
        else:
            self._queue.forget(uid)
            if wake is not None:
                self._queue.add_after(uid, wake)
            if uid not in self._worker.memories:
                self._sources.statics.left(uid)
        finally:
            self._queue.done(uid)

    @property
    def _may_begin(self) -> bool:
        """No pod shall ask a registry for what came as a file, nor be refused because the network is just
        looking around; one that never gets ready is told of by the pods that need it."""
        late = self._clock.monotonic() - self._began > NETWORK_SECONDS
        return self._folder.loaded and (self._network.ready or late)

    def _watch_engine(self) -> float:
        """A round of the relist; while the engine hangs, what the probes say is told from here."""
        pause = self._relist.wait()
        if self._relist.trouble:
            for uid in list(self._worker.memories):
                self._worker.report_unseen(uid)
        return pause

    def _known(self) -> bool:
        """Whether it is known which pods the server wants, and what their containers are told."""
        return self._pods.synced.is_set() and self._services.synced.is_set()

    def _look_at_all(self) -> None:
        for uid in {*all_uids(self._node.data_dir), *self._relist.uids}:
            self._queue.add(uid)

    def _scan_images(self) -> float:
        try:
            self._folder.scan()
        except EngineDown:
            return ENGINE_SECONDS
        return IMAGES_EVERY_SECONDS

    def _refusal(self, pod: Obj) -> Doom | None:
        return self._upkeep.refusal(pod)

    def _doom(self, uid: str, doom: Doom) -> None:
        """Have a pod ended."""
        self._worker.doom(uid, doom)
        self._queue.add(uid)

    def _static_changed(self, uid: str, key: str) -> None:
        self._queue.add(uid)
        self._mirror_queue.add(key)

    def _mirror_changed(self, old: Obj | None, new: Obj | None) -> None:
        """A mirror that came is told how its pod is; what was said to one that went is forgotten."""
        if new is None or (old and meta.uid(old) != meta.uid(new)):
            self._statuses.forget(meta.uid(old or {}))
        if new and (not old or not _same_wish(old, new) or self._statuses.overwritten(new)):
            self._queue.add(meta.annotations(new)[MIRROR])
        self._mirror_queue.add(meta.key(new or old or {}))

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if is_mirror(new or old or {}):
            self._mirror_changed(old, new)
            return
        if old and new and meta.uid(old) != meta.uid(new):
            self._queue.add(meta.uid(old))
        elif old and new and _same_wish(old, new) and not self._statuses.overwritten(new):
            return
        self._queue.add(meta.uid(new or old or {}))

    def _probed(self, uid: str) -> None:
        """A probe's result changed. When the engine doesn't answer, the workers may all be waiting for it."""
        if self._relist.trouble:
            self._worker.report_unseen(uid)
        self._queue.add(uid)

    def _again(self, uid: str) -> None:
        """Something that the pod may wait for has come."""
        self._worker.retry(uid)
        self._queue.add(uid)


def _by_uid(pod: Obj) -> tuple[str, ...]:
    return (meta.uid(pod),)


def _same_wish(old: Obj, new: Obj) -> bool:
    """Whether only the status changed, and nobody here waits for that: a readiness gate, or files that are to
    go once the server has heard of the pod's end."""
    if pods.is_terminal(old) != pods.is_terminal(new):
        return False
    bare_old, bare_new = ({**pod, "status": None, "metadata": _bare(pod)} for pod in (old, new))
    return bare_old == bare_new and not new["spec"].get("readinessGates")


def _bare(pod: Obj) -> Obj:
    left_out = {"resourceVersion", "managedFields"}
    return {key: value for key, value in pod["metadata"].items() if key not in left_out}
