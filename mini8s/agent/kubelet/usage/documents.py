"""What the kubelet tells of itself over plain GETs: health, its pods, and what they use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mini8s.agent.kubelet.usage.exposition import CONTENT_TYPE, exposition
from mini8s.agent.kubelet.usage.storage import PodStorage, Storage
from mini8s.agent.kubelet.usage.summary import StorageFacts, summary
from mini8s.agent.kubelet.usage.usage import Snapshot, Usage
from mini8s.objects.errors import InternalError
from mini8s.objects.kinds import Obj
from mini8s.wire.codec import encode_json

_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Document:
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Documents:
    """`pods` are all of this node's, `pod_of` one of them by uid; `metrics` is what other rooms count."""

    node: str
    usage: Usage
    storage: Callable[[], Storage]
    pods: Callable[[], Sequence[Obj]]
    pod_of: Callable[[str], Obj | None]
    metrics: Sequence[Callable[[], str]] = ()

    def get(self, path: tuple[str, ...], query: Mapping[str, str]) -> Document | None:
        """None for what there is not. Raises ApiError."""
        match path:
            case ("healthz",) | ("healthz", "ping"):
                return Document(b"ok", _TEXT)
            case ("pods",):
                listed = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(self.pods())}
                return Document(encode_json(listed), _JSON)
            case ("stats", "summary"):
                brief = query.get("only_cpu_and_memory", "").lower() in {"true", "1"}
                return Document(encode_json(self._summary(brief=brief)), _JSON)
            case ("metrics",):
                return Document("".join(tell() for tell in self.metrics).encode(), CONTENT_TYPE)
            case ("metrics", "resource"):
                return Document(exposition(self._look(), self.pod_of).encode(), CONTENT_TYPE)
        return None

    def _summary(self, *, brief: bool) -> Obj:
        snapshot = self._look()
        facts = None if brief else self._storage_facts(snapshot)
        return summary(self.node, snapshot, self.pod_of, facts)

    def _look(self) -> Snapshot:
        try:
            return self.usage.now()
        except OSError as error:
            raise InternalError(f"this host can't be measured: {error}") from error

    def _storage_facts(self, snapshot: Snapshot) -> StorageFacts:
        storage, found = self.storage(), {}
        try:
            for used in snapshot.pods:
                pod = self.pod_of(used.pod.uid)
                found[used.pod.uid] = storage.pod(pod, used.pod) if pod else PodStorage()
            return StorageFacts(storage.filesystems(), found)
        except OSError as error:
            raise InternalError(f"this host's disk can't be measured: {error}") from error
