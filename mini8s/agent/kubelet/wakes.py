"""Which pods are to be looked at now: every change that a pod may have waited for puts its uid on one queue,
and that of a static pod's mirror its name on another. What is to be done is found out by who takes it off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mini8s.agent.kubelet.pod_worker import PodWorker
from mini8s.agent.kubelet.relist import Relist
from mini8s.agent.kubelet.static.manifests import is_mirror
from mini8s.agent.kubelet.status_writer import StatusWriter
from mini8s.agent.kubelet.view import Doom
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import MIRROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Wakes:
    """`relist` and `worker` are asked for late: they are made of parts that wake pods themselves."""

    queue: WorkQueue
    mirrors: WorkQueue
    statuses: StatusWriter
    relist: Callable[[], Relist]
    worker: Callable[[], PodWorker]

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if is_mirror(new or old or {}):
            self._mirror_changed(old, new)
            return
        if old and new and meta.uid(old) != meta.uid(new):
            self.queue.add(meta.uid(old))
        elif old and new and _same_wish(old, new) and not self.statuses.overwritten(new):
            return
        self.queue.add(meta.uid(new or old or {}))

    def _mirror_changed(self, old: Obj | None, new: Obj | None) -> None:
        """A mirror that came is told how its pod is; what was said to one that went is forgotten."""
        if new is None or (old and meta.uid(old) != meta.uid(new)):
            self.statuses.forget(meta.uid(old or {}))
        if new and (not old or not _same_wish(old, new) or self.statuses.overwritten(new)):
            self.queue.add(meta.annotations(new)[MIRROR])
        self.mirrors.add(meta.key(new or old or {}))

    def static_changed(self, uid: str, key: str) -> None:
        self.queue.add(uid)
        self.mirrors.add(key)

    def probed(self, uid: str) -> None:
        """A probe's result changed. When the engine doesn't answer, the workers may all be waiting for it."""
        if self.relist().trouble:
            self.worker().report_unseen(uid)
        self.queue.add(uid)

    def engine_seen(self) -> float:
        """A round of the relist; while the engine hangs, what the probes say is told from here."""
        pause = self.relist().wait()
        if self.relist().trouble:
            for uid in list(self.worker().memories):
                self.worker().report_unseen(uid)
        return pause

    def again(self, uid: str) -> None:
        """Something that the pod may wait for has come."""
        self.worker().retry(uid)
        self.queue.add(uid)

    def doom(self, uid: str, doom: Doom) -> None:
        """Have a pod ended."""
        self.worker().doom(uid, doom)
        self.queue.add(uid)


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
