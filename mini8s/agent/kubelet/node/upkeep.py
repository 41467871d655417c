"""What keeps a host fit for pods, put together: figures of use, evictions, room for images, the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mini8s.agent.kubelet.images.collector import ImageCollector
from mini8s.agent.kubelet.images.folder import ImageFolder
from mini8s.agent.kubelet.images.pins import Pins
from mini8s.agent.kubelet.node.evictor import EVERY_SECONDS, Evictor, Surroundings
from mini8s.agent.kubelet.node.heartbeat import Heartbeat
from mini8s.agent.kubelet.node.logind import Logind
from mini8s.agent.kubelet.node.shutdown import REFUSED, Shutdown
from mini8s.agent.kubelet.settings import KubeletSettings
from mini8s.agent.kubelet.usage.disk_usage import DiskUsage
from mini8s.agent.kubelet.usage.documents import Documents
from mini8s.agent.kubelet.usage.storage import Storage
from mini8s.agent.kubelet.usage.usage import Usage
from mini8s.agent.kubelet.view import Doom
from mini8s.agent.runtime.base import Runtime
from mini8s.agent.runtime.records import RunningPod
from mini8s.client.base import EventSink
from mini8s.objects.kinds import Obj
from mini8s.util.clock import Clock
from mini8s.util.workers import Stop


class Upkeep:
    """`running` is what the engine had of each pod at the last look, `doom` has a pod's worker end it,
    `claimed` finds the folder of a claim."""

    def __init__(  # noqa: PLR0913 - a composition root: every argument is another room's door
        self,
        *,
        settings: KubeletSettings,
        data_dir: Path,
        runtime: Runtime,
        heartbeat: Heartbeat,
        folder: ImageFolder,
        events: EventSink,
        running: Callable[[], Sequence[RunningPod]],
        pod_of: Callable[[str], Obj | None],
        doom: Callable[[str, Doom], None],
        claimed: Callable[[str, str], Path | None],
        clock: Clock,
        stop: Stop,
    ) -> None:
        self._data_dir, self._heartbeat, self._pod_of, self._claimed = data_dir, heartbeat, pod_of, claimed
        self._told, self._watched = DiskUsage(clock), DiskUsage(clock, EVERY_SECONDS / 2)
        self._usage = Usage(running, clock, stop.wait)
        self._clock, self._collect_at = clock, 0.0
        pins = Pins(data_dir)
        self._collector = ImageCollector(
            runtime=runtime,
            pods=running,
            pinned=lambda: folder.pinned | pins.names(),
            space=lambda: self._storage(self._watched).filesystems().image,
            settings=settings,
            clock=clock,
            tell=heartbeat.tell,
        )
        self.evictor = Evictor(
            settings,
            Surroundings(
                usage=self._usage,
                storage=lambda: self._storage(self._watched),
                running=running,
                pod_of=pod_of,
                doom=doom,
                collector=self._collector,
                runtime=runtime,
                events=events,
                tell=heartbeat.tell,
                changed=heartbeat.wake,
                clock=clock,
            ),
        )

        self.shutdown = Shutdown(
            settings=settings,
            login=Logind(),
            running=running,
            pod_of=pod_of,
            doom=doom,
            changed=heartbeat.wake,
            pause=stop.wait,
            clock=clock,
        )

    def refusal(self, pod: Obj) -> Doom | None:
        """Why a pod that comes now is not begun."""
        return REFUSED if self.shutdown.begun else self.evictor.refusal(pod)

    def step(self) -> float:
        """One round; seconds until the next."""
        pause, now = self.evictor.step(), self._clock.monotonic()
        if now >= self._collect_at:
            self._collect_at = now + self._collector.step()
        return pause

    def documents(
        self, node: str, pods: Callable[[], Sequence[Obj]], metrics: Sequence[Callable[[], str]]
    ) -> Documents:
        """What the node tells of itself. Its counts of folders may be older than those that pods are judged
        by."""
        return Documents(node, self._usage, lambda: self._storage(self._told), pods, self._pod_of, metrics)

    def _storage(self, counts: DiskUsage) -> Storage:
        return Storage(self._data_dir, self._heartbeat.engine_root, counts, self._claimed)
