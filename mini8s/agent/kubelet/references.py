"""The ConfigMaps, Secrets and claims that this node's pods speak of, each followed by a watch of its own.

Only those: a node has no business with other people's Secrets, and a watch of all would cost memory in
proportion to the cluster. A watch begins when the first pod needs its object and ends with the last, or when
the object says that it never changes. PersistentVolumes are few and come from one watch of all; so does the
API's certificate, which every namespace has and nearly every pod asks for.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mini8s.agent.kubelet.lookup import WORDS, NotYetKnown
from mini8s.agent.kubelet.view import Role
from mini8s.client.base import Api
from mini8s.client.informer import Informer, Memory, NoMemory
from mini8s.objects import claims, meta
from mini8s.objects.kinds import (
    CONFIGMAPS,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    RUNTIMECLASSES,
    SECRETS,
    Kind,
    Obj,
)
from mini8s.objects.pods import ROOT_CA
from mini8s.util.workers import Stop

Reference = tuple[Kind, str, str]  # kind, namespace, name
SYNC_SECONDS = 5.0  # how long a pod's start waits for the first answer before it is tried again later


@dataclass(slots=True)
class _Followed:
    informer: Informer
    stop: Stop
    users: set[str] = field(default_factory=set)  # uids of pods
    own: bool = True  # the watch is this reference's alone


class References:
    """`changed` is called with the uid of each pod whose object changed; `volumes` follows all
    PersistentVolumes, `certificates` the ConfigMap of that name in all namespaces; `memory` knows what was so
    when this host was last told."""

    def __init__(
        self,
        api: Api,
        changed: Callable[[str], None],
        volumes: Informer,
        certificates: Informer,
        memory: Memory | None = None,
    ) -> None:
        self._api = api
        self._changed = changed
        self._volumes, self._certificates = volumes, certificates
        self._memory = memory or NoMemory()
        self._lock = threading.Lock()  # guards the table; held for dictionary work only
        self._followed: dict[Reference, _Followed] = {}
        certificates.subscribe(self._certificate_changed)

    def follow(self, pod: Obj) -> None:
        """Follow what the pod refers to now, and nothing else for it."""
        uid, wanted = meta.uid(pod), set(references_of(pod))
        with self._lock:
            new = [(key, self._followed[key]) for key in wanted if self._add(key, uid)]
        for key, followed in new:
            if not followed.own:
                continue
            self._memory.adopt(followed.informer)
            followed.informer.subscribe(lambda _old, new, key=key: self._tell(key, new))  # type: ignore[misc]
            followed.informer.start()
        self._drop(uid, wanted)

    def forget(self, uid: str) -> None:
        self._drop(uid, set())

    def lookup(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """A Lookup. Raises NotYetKnown while the server has not answered."""
        with self._lock:
            followed = self._followed.get((kind, namespace, name))
        informer = followed.informer if followed else None
        if kind is PERSISTENTVOLUMES:
            informer = self._volumes
        if informer is None or not informer.synced.wait(SYNC_SECONDS):
            raise NotYetKnown(f"failed to sync {WORDS[kind]} cache: timed out waiting for the condition")
        return informer.cache.get(namespace, name)

    def close(self) -> None:
        with self._lock:
            everything, self._followed = list(self._followed.values()), {}
        for followed in everything:
            _end(followed)

    def _add(self, key: Reference, uid: str) -> bool:
        """Under the lock: note a user; whether the watch is new."""
        known = key in self._followed
        if not known:
            self._followed[key] = self._new(*key)
        self._followed[key].users.add(uid)
        return not known

    def _new(self, kind: Kind, namespace: str, name: str) -> _Followed:
        if (kind, name) == (CONFIGMAPS, ROOT_CA):
            return _Followed(self._certificates, Stop(), own=False)
        stop = Stop()
        informer = Informer(self._api, kind, stop, namespace=namespace, fields=f"metadata.name={name}")
        return _Followed(informer, stop)

    def _drop(self, uid: str, wanted: set[Reference]) -> None:
        with self._lock:
            for key, followed in self._followed.items():
                if key not in wanted:
                    followed.users.discard(uid)
            unused = [key for key, followed in self._followed.items() if not followed.users]
            dropped = [self._followed.pop(key) for key in unused]
        for followed in dropped:
            _end(followed)
            if followed.own:
                self._memory.release(followed.informer)

    def _tell(self, key: Reference, new: Obj | None) -> None:
        with self._lock:
            followed = self._followed.get(key)
            users = list(followed.users) if followed else []
        if followed and new and new.get("immutable"):
            _end(followed)
        for uid in users:
            self._changed(uid)

    def _certificate_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._tell((CONFIGMAPS, meta.namespace(new or old or {}), ROOT_CA), new)


def references_of(pod: Obj) -> Iterable[Reference]:
    """Everything that the containers' environment, the volumes, the pulls and the pod's runtime name."""
    namespace, spec = meta.namespace(pod), pod["spec"]
    lists = (spec.get(role.value) or () for role in Role)
    for container in itertools.chain.from_iterable(lists):
        for source in container.get("envFrom") or ():
            yield from _named(namespace, source, "configMapRef", "secretRef")
        for variable in container.get("env") or ():
            yield from _named(namespace, variable.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")
    for volume in spec.get("volumes") or ():
        yield from _named(namespace, volume, "configMap", "secret")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(namespace, source, "configMap", "secret")
    if runtime := spec.get("runtimeClassName"):
        yield RUNTIMECLASSES, "", runtime
    for secret in spec.get("imagePullSecrets") or ():
        if secret.get("name"):
            yield SECRETS, namespace, secret["name"]
    for claim, _ in claims.of_pod(pod):
        yield PERSISTENTVOLUMECLAIMS, namespace, claim


def _named(namespace: str, source: Obj, config: str, secret: str) -> Iterable[Reference]:
    if reference := source.get(config):
        yield CONFIGMAPS, namespace, reference["name"]
    if reference := source.get(secret):
        yield SECRETS, namespace, reference.get("secretName") or reference["name"]


def _end(followed: _Followed) -> None:
    if not followed.own:
        return
    followed.stop.set()
    followed.informer.close()
