"""Keeps one mirror in the API for each static pod: makes it when it is missing, takes it away when it shows
what is no more. The pods themselves don't need it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from mini8s.agent.kubelet.static.manifests import Step, is_mirror, mirror_of, mirror_step
from mini8s.agent.kubelet.static.sources import Sources
from mini8s.client.base import RETRY_SECONDS, Api
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import meta
from mini8s.objects.errors import ApiError, Conflict, NotFound
from mini8s.objects.kinds import NODES, PODS
from mini8s.util.log import OnChange

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The queue holds `namespace/name`."""

    api: Api
    sources: Sources
    node: str
    queue: WorkQueue
    said: OnChange = field(default_factory=lambda: OnChange(log))

    def look_at_all(self) -> None:
        """The server has been heard: what it shows may be old."""
        shown = [pod for pod in self.sources.pods.cache.list() if is_mirror(pod)]
        for pod in (*shown, *self.sources.statics.all().values()):
            self.queue.add(meta.key(pod))

    def step(self) -> float:
        """A round of the mirrors' thread; the pause before the next."""
        key = self.queue.get()
        if key is None:
            return 0.0
        try:
            self.sync(key)
        except ApiError as error:
            self.said.say(f"the mirror of static pod {key} has to wait: {error}")
            self.queue.add_after(key, RETRY_SECONDS)
        finally:
            self.queue.done(key)
        return 0.0

    def sync(self, key: str) -> None:
        """Raises ApiError."""
        sources = self.sources
        if not sources.pods.heard or not sources.statics.loaded:
            return
        static, mirror = sources.statics.named(key), sources.mirror(key)
        namespace, name = meta.split_key(key)
        match mirror_step(static, mirror, leaving=sources.statics.leaves(key)):
            case Step.CREATE if static is not None:
                self.api.create(PODS, mirror_of(static, meta.uid(self.api.get(NODES, "", self.node))))
            case Step.DELETE if mirror is not None:
                try:
                    self.api.delete(PODS, namespace, name, uid=meta.uid(mirror), grace_seconds=0)
                except (NotFound, Conflict):  # it has gone meanwhile, and the next one may be there
                    return
