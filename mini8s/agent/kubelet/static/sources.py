"""Which pods this node is to run: the API's, and those of files on the host. A mirror in the API shows one of
the latter and is never run itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mini8s.agent.kubelet.static.folder import StaticPods
from mini8s.agent.kubelet.static.manifests import is_mirror, is_static
from mini8s.client.informer import Informer
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class Sources:
    """`known` tells whether it is known what the API's pods need to know of others."""

    pods: Informer
    statics: StaticPods
    known: Callable[[], bool]

    def wanted(self, uid: str) -> Obj | None:
        """The pod to run under a uid; a static one with the status that the API has of it."""
        static = self.statics.of(uid)
        if static is not None:
            mirror = self.shown_by(static)
            return {**static, "status": (mirror or {}).get("status") or {}}
        found = self.pods.cache.index("uid", uid)
        return found[0] if found and not is_mirror(found[0]) else None

    def named(self, namespace: str, name: str) -> Obj | None:
        """The pod that runs under a name."""
        static = self.statics.named(f"{namespace}/{name}")
        if static is not None:
            return self.wanted(meta.uid(static))
        return self.pods.cache.get(namespace, name)

    def shown_by(self, pod: Obj) -> Obj | None:
        """The object of the API whose status tells of a pod: the pod itself, or a static one's mirror. None
        while there is no mirror."""
        if not is_static(meta.uid(pod)):
            return pod
        found = self.mirror(meta.key(pod))
        return found if found and meta.annotations(found)[pods.MIRROR] == meta.uid(pod) else None

    def mirror(self, key: str) -> Obj | None:
        found = self.pods.cache.get(*meta.split_key(key))
        return found if found and is_mirror(found) else None

    def wait(self, uid: str) -> float | None:
        """Seconds to wait before a pod may be judged, 0 for not at all; None when somebody else will say.

        What is known from before may lack the newest pods: none is an orphan until the server was heard. What
        files say is known once they were read, and a new version of a pod waits for the one before.
        """
        if is_static(uid):
            static = self.statics.of(uid)
            waits = not self.statics.loaded or (static and self.statics.leaves(meta.key(static)))
            return 0.1 if waits else 0.0
        if not self.known():
            return 0.1
        return 0.0 if self.pods.heard or self.wanted(uid) is not None else None
