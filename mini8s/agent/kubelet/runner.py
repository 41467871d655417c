"""The kubelet of a node at work: informers and the engine's events fill one queue of pods, a few workers
empty it, and beside them run the probes, the puller, the status writer and the heartbeat.

It ends without touching a pod, and begins by adopting what runs.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping

from mini8s.agent.kubelet.images.registries import Registries
from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.parts import Doors, NodeSetup, Parts
from mini8s.agent.kubelet.pod_folder import all_uids
from mini8s.agent.kubelet.settings import DEFAULTS, KubeletSettings
from mini8s.agent.runtime.base import EngineDown
from mini8s.objects.kinds import Obj
from mini8s.util.log import OnChange
from mini8s.util.workers import Worker

log = logging.getLogger(__name__)

# Twice the cores: half of a pod's start is waiting for the engine, which more starts at once only slow down.
WORKERS = min(16, 2 * len(os.sched_getaffinity(0)))
NETWORK_SECONDS = 10.0  # how long a start waits for the pods' network
UNTOLD_SECONDS = 1.0  # how soon it is asked again whether it is known which pods are wanted
ENGINE_SECONDS = 1.0  # how soon an engine that was away is asked again for its images
IMAGES_EVERY_SECONDS = 10.0
STOP_SECONDS = 5.0


class Kubelet:
    """Runs this node's pods. `ready` once it knows them, from the server or from before, and the engine
    answers."""

    def __init__(
        self,
        node: NodeSetup,
        doors: Doors,
        *,
        policy: Policy,
        registries: Registries | None = None,
        settings: KubeletSettings = DEFAULTS,
    ) -> None:
        self._node, self._doors = node, doors
        self._parts = Parts(node, doors, settings, policy, registries or Registries())
        self._said, self._began = OnChange(log), 0.0
        self._threads: list[Worker] = []
        self.streams = self._parts.streams

    @property
    def ready(self) -> bool:
        pods = self._parts.pods
        known_from_before = pods.synced.is_set() and not pods.heard
        return (self._parts.heartbeat.registered or known_from_before) and not self._parts.relist.trouble

    def heard(self) -> float | None:
        """When the server last took this node's sign of life, monotonic; None for not yet."""
        return self._parts.heartbeat.renewed

    def moved(self) -> None:
        """The node's address is another: it and all its pods have something new to say."""
        self._parts.heartbeat.wake()
        for uid in list(self._parts.worker.memories):
            self._parts.queue.add(uid)

    def use_registries(self, registries: Registries) -> None:
        """From the next pull on."""
        self._parts.images.use(registries)

    def trust(self, registry: str, files: Mapping[str, str]) -> None:
        """Raises OSError."""
        self._doors.runtime.trust(registry, files)

    def static_pods(self) -> Iterable[Obj] | None:
        """Those of the folder, None while it has not been read."""
        statics = self._parts.sources.statics
        return statics.all().values() if statics.loaded else None

    def start(self) -> None:
        """Return at once; pods are touched only when it is known which ones the server wants."""
        parts = self._parts
        self._began = self._doors.clock.monotonic()
        parts.image_folder.prepare()
        parts.pods.once_heard(self._look_at_all)
        parts.pods.once_heard(parts.mirrors.look_at_all)
        parts.pods.subscribe(parts.wakes.pod_changed)
        parts.pods.start()
        parts.services.start()
        parts.volumes.subscribe(parts.local_volumes.changed)
        parts.volumes.start()
        self._threads = [Worker(name, step, self._doors.stop).start() for name, step in self._loops()]

    def _loops(self) -> list[tuple[str, Callable[[], float | None]]]:
        parts = self._parts
        loops: list[tuple[str, Callable[[], float | None]]] = [
            ("heartbeat", parts.heartbeat.beat),
            ("lease", parts.heartbeat.renew),
            ("fence", parts.fence.step),
            ("engine-events", parts.relist.listen),
            ("engine-relist", parts.wakes.engine_seen),
            ("image-folder", self._scan_images),
            ("image-pull", parts.images.pull_next),
            ("upkeep", lambda: parts.upkeep.step() if parts.known() else UNTOLD_SECONDS),
            ("probes", parts.prober.step),
            ("status", parts.statuses.step),
            ("local-volumes", parts.local_volumes.step),
            ("static-pods", parts.sources.statics.scan),
            ("mirrors", parts.mirrors.step),
            *((f"pods-{number}", self._work) for number in range(WORKERS)),
        ]
        if parts.upkeep.shutdown.wanted:
            loops.append(("shutdown", parts.upkeep.shutdown.step))
        return loops

    def stop(self) -> None:
        """End the threads within a few seconds. The pods go on."""
        self._doors.stop.set()
        self._parts.close()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        """One pod's round."""
        if not self._may_begin:
            self._doors.stop.wait(0.1)
            return
        queue, sources, worker = self._parts.queue, self._parts.sources, self._parts.worker
        uid = queue.get()
        if uid is None:
            return
        try:
            wait = sources.wait(uid)
            wake = wait if wait != 0 else worker.sync(uid)
        except EngineDown as error:
            self._said.say(f"pods wait for the container engine: {error}")
            queue.add_rate_limited(uid)
        except Exception:
            log.exception("pod %s failed and is tried again", uid)
            queue.add_rate_limited(uid)
        else:
            queue.forget(uid)
            if wake is not None:
                queue.add_after(uid, wake)
            if uid not in worker.memories:
                sources.statics.left(uid)
        finally:
            queue.done(uid)

    @property
    def _may_begin(self) -> bool:
        """No pod shall ask a registry for what came as a file, nor be refused because the network is just
        looking around; one that never gets ready is told of by the pods that need it."""
        late = self._doors.clock.monotonic() - self._began > NETWORK_SECONDS
        return self._parts.image_folder.loaded and (self._doors.network.ready or late)

    def _look_at_all(self) -> None:
        parts = self._parts
        for uid in {*all_uids(self._node.data_dir), *parts.relist.uids, *list(parts.worker.memories)}:
            parts.queue.add(uid)

    def _scan_images(self) -> float:
        try:
            self._parts.image_folder.scan()
        except EngineDown:
            return ENGINE_SECONDS
        return IMAGES_EVERY_SECONDS
