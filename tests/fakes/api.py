"""The API in memory: what `client.base.Api` promises, with revisions, conflicts, watches and graceful
deletion, and switches that make it fail. `tests/contract/test_client_api.py` holds it to the real server."""

from __future__ import annotations

import builtins
import copy
import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mini8s.client.base import NO_QUERY, Ask, Listed
from mini8s.objects import errors, meta
from mini8s.objects import fields as field_selectors
from mini8s.objects import labels as label_selectors
from mini8s.objects.kinds import ACCESSREVIEWS, NAMESPACES, PODS, SERVICEACCOUNTS, Kind, Obj
from mini8s.objects.time import format_time

Selection = Callable[[Obj], bool]
_CUT, _COMPACTED = "cut", "compacted"


@dataclass
class Change:
    revision: int
    kind: Kind
    old: Obj | None
    new: Obj | None


@dataclass
class Call:
    """A write as it came in, for tests that count or compare."""

    verb: str
    kind: Kind
    namespace: str
    name: str
    body: Any = None
    subresource: str = ""


@dataclass
class FakeApi:
    """`down`: every call and watch fails with ServiceUnavailable."""

    now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, tzinfo=UTC)
    down: bool = False
    endless: bool = True  # whether a watch waits for more, or ends after what has happened
    calls: builtins.list[Call] = field(default_factory=list)  # writes only
    tokens: builtins.list[Obj] = field(default_factory=list)  # what was requested
    allowed: set[tuple[str, str]] = field(default_factory=set)  # user and subresource, in access reviews
    _objects: dict[tuple[str, str, str], Obj] = field(default_factory=dict)
    _log: builtins.list[Change] = field(default_factory=list)
    _failures: builtins.list[tuple[str, str, errors.ApiError]] = field(default_factory=list)
    _watches: builtins.list[FakeWatch] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _revision: int = 1
    _compacted: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # ---- switches

    def fail_next(self, verb: str, error: errors.ApiError, *, plural: str = "") -> None:
        self._failures.append((verb, plural, error))

    def cut_watches(self) -> None:
        """Every open watch loses its connection."""
        with self._lock:
            for watch in self._watches:
                watch.put(_CUT)

    def compact(self) -> None:
        """Forget all history: a watch from an older revision gets 410."""
        with self._lock:
            self._compacted = self._revision
            self._log.clear()

    def forget(self, watch: FakeWatch) -> None:
        with self._lock:
            self._watches.remove(watch)

    # ---- the contract

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        with self._enter("get", kind):
            return copy.deepcopy(self._find(kind, namespace, name))

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Listed:
        with self._enter("list", kind):
            chosen = _selection(kind, namespace, labels, fields)
            items = [
                copy.deepcopy(obj)
                for (plural, _, _), obj in sorted(self._objects.items())
                if plural == kind.resource and chosen(obj)
            ]
            return Listed(items, str(self._revision))

    def create(self, kind: Kind, obj: Obj, *, query: Mapping[str, str] = NO_QUERY) -> Obj:
        with self._enter("create", kind):
            if kind is ACCESSREVIEWS:
                asked = (obj["spec"]["user"], obj["spec"]["resourceAttributes"]["subresource"])
                return obj | {"status": {"allowed": asked in self.allowed}}
            new = copy.deepcopy(obj)
            new |= {"apiVersion": kind.api_version, "kind": kind.kind}
            metadata = new.setdefault("metadata", {})
            if not metadata.get("name"):
                metadata["name"] = f"{metadata['generateName']}{next(self._ids):05d}"
            self._note("create", kind, new, new)
            if self._key(kind, new) in self._objects:
                raise errors.AlreadyExists(
                    f'{kind.resource} "{metadata["name"]}" already exists',
                    kind=kind.plural,
                    name=metadata["name"],
                )
            metadata |= {"uid": f"uid-{next(self._ids)}", "creationTimestamp": format_time(self.now())}
            if kind is NAMESPACES:
                new |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
            elif "spec" in new:
                metadata["generation"] = 1
            return self._store(kind, None, new)

    def update(
        self, kind: Kind, obj: Obj, *, subresource: str = "", query: Mapping[str, str] = NO_QUERY
    ) -> Obj:
        return self._update(kind, obj, subresource)

    def update_status(self, kind: Kind, obj: Obj) -> Obj:
        return self._update(kind, obj, "status")

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        type: str = "merge",
        subresource: str = "",
        query: Mapping[str, str] = NO_QUERY,
    ) -> Obj:
        assert type in {"merge", "strategic"}, "the fake knows merge patches; lists are replaced"
        with self._enter("patch", kind):
            old = self._find(kind, namespace, name)
            self._note("patch", kind, old, patch, subresource)
            self._check(kind, old, patch.get("metadata") or {})
            return self._change(kind, old, _merge(copy.deepcopy(old), patch), subresource)

    def patch_status(self, kind: Kind, namespace: str, name: str, patch: Any, *, type: str = "merge") -> Obj:
        return self.patch(kind, namespace, name, patch, type=type, subresource="status")

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_seconds: int | None = None,
        propagation: str = "Background",
        query: Mapping[str, str] = NO_QUERY,
    ) -> Obj:
        with self._enter("delete", kind):
            old = self._find(kind, namespace, name)
            self._note("delete", kind, old, {"grace": grace_seconds, "propagation": propagation})
            actual = old["metadata"]["uid"], old["metadata"]["resourceVersion"]
            if (uid and uid != actual[0]) or (resource_version and resource_version != actual[1]):
                raise errors.Conflict(f'{kind.resource} "{name}": the precondition does not hold')
            new = copy.deepcopy(old)
            finalizer = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(propagation)
            if finalizer and finalizer not in meta.finalizers(new):
                new["metadata"]["finalizers"] = [*meta.finalizers(new), finalizer]
            grace = self._grace(kind, new, grace_seconds)
            if kind is NAMESPACES:
                new["status"] = {**new["status"], "phase": "Terminating"}
                new["metadata"].setdefault("deletionTimestamp", format_time(self.now()))
                return self._store(kind, old, new)
            if not grace and not meta.finalizers(new):
                return self._store(kind, old, None)
            end = self.now() + timedelta(seconds=grace)
            new["metadata"].setdefault("deletionTimestamp", format_time(end))
            new["metadata"]["deletionGracePeriodSeconds"] = grace
            return self._change(kind, old, new, "", deletion=True)

    def bind(self, namespace: str, pod: str, node: str) -> None:
        with self._enter("bind", PODS):
            old = self._find(PODS, namespace, pod)
            self._note("bind", PODS, old, node)
            if old["spec"].get("nodeName"):
                raise errors.Conflict(f'pod {pod} is already assigned to node "{old["spec"]["nodeName"]}"')
            new = copy.deepcopy(old)
            new["spec"]["nodeName"] = node
            self._store(PODS, old, new)

    def request_token(self, namespace: str, account: str, request: Obj) -> Obj:
        """A token that says whose it is and how many were given before."""
        with self._enter("token", SERVICEACCOUNTS):
            self._find(SERVICEACCOUNTS, namespace, account)
            self.tokens.append(copy.deepcopy(request))
            end = self.now() + timedelta(seconds=request["spec"]["expirationSeconds"])
            token = f"{namespace}/{account}#{len(self.tokens)}"
            return request | {"status": {"token": token, "expirationTimestamp": format_time(end)}}

    def together(self, asks: Sequence[Ask]) -> Sequence[Obj | errors.ApiError]:
        return [self._attempt(ask) for ask in asks]

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        labels: str = "",
        fields: str = "",
        timeout_seconds: int = 300,
    ) -> FakeWatch:
        with self._enter("watch", kind):
            chosen = _selection(kind, namespace, labels, fields)
            watch = FakeWatch(self, kind, chosen)
            since = int(resource_version or 0)
            if since and since < self._compacted:
                watch.put(_COMPACTED)
                return watch
            for change in [change for change in self._log if change.revision > since]:
                watch.offer(change)
            self._watches.append(watch)
            return watch

    # ---- inside

    def _attempt(self, ask: Ask) -> Obj | errors.ApiError:
        try:
            return ask(self) or {}
        except errors.ApiError as error:
            return error

    def _enter(self, verb: str, kind: Kind) -> threading.RLock:
        if self.down:
            raise errors.ServiceUnavailable("cannot reach the server at fake")
        for failure in self._failures:
            if failure[0] == verb and failure[1] in {"", kind.plural}:
                self._failures.remove(failure)
                raise failure[2]
        return self._lock

    def _note(self, verb: str, kind: Kind, obj: Obj, body: Any, subresource: str = "") -> None:
        self.calls.append(
            Call(verb, kind, meta.namespace(obj), meta.name(obj), copy.deepcopy(body), subresource)
        )

    def _key(self, kind: Kind, obj: Obj) -> tuple[str, str, str]:
        return kind.resource, meta.namespace(obj), meta.name(obj)

    def _find(self, kind: Kind, namespace: str, name: str) -> Obj:
        found = self._objects.get((kind.resource, namespace, name))
        if found is None:
            raise errors.NotFound(
                f'{kind.resource} "{name}" not found', group=kind.group, kind=kind.plural, name=name
            )
        return found

    def _update(self, kind: Kind, obj: Obj, subresource: str) -> Obj:
        with self._enter("update", kind):
            old = self._find(kind, meta.namespace(obj), meta.name(obj))
            self._note("update", kind, old, obj, subresource)
            self._check(kind, old, obj["metadata"])
            return self._change(kind, old, copy.deepcopy(obj), subresource)

    def _check(self, kind: Kind, old: Obj, metadata: Obj) -> None:
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        if (version and version != old["metadata"]["resourceVersion"]) or (uid and uid != meta.uid(old)):
            raise errors.Conflict(
                f'Operation cannot be fulfilled on {kind.resource} "{meta.name(old)}": the object has '
                "been modified; please apply your changes to the latest version and try again"
            )

    def _change(self, kind: Kind, old: Obj, new: Obj, subresource: str, *, deletion: bool = False) -> Obj:
        """Store what the request may change of the object; nothing when that is nothing."""
        wanted = new
        if subresource == "finalize":
            new = copy.deepcopy(old)
            new["spec"] = wanted["spec"]
        elif subresource in {"status", "approval"}:
            new = copy.deepcopy(old)
            new["status"] = wanted.get("status", {})
        else:
            if "status" in kind.subresources:
                new = {key: value for key, value in new.items() if key != "status"}
                if "status" in old:
                    new["status"] = copy.deepcopy(old["status"])
            for fixed in ("uid", "creationTimestamp", "resourceVersion", "generation"):
                if fixed in old["metadata"]:
                    new["metadata"][fixed] = old["metadata"][fixed]
            if not deletion and meta.deleting(old):
                for fixed in ("deletionTimestamp", "deletionGracePeriodSeconds"):
                    new["metadata"][fixed] = old["metadata"][fixed]
            if new.get("spec") != old.get("spec") or (deletion and not meta.deleting(old)):
                new["metadata"]["generation"] = meta.generation(old) + 1
        if not new["metadata"].get("finalizers"):
            new["metadata"].pop("finalizers", None)
        if new == old:
            return copy.deepcopy(old)
        gone = meta.deleting(new) and not meta.finalizers(new)
        if kind is NAMESPACES and new["spec"].get("finalizers"):
            gone = False
        if gone and not new["metadata"].get("deletionGracePeriodSeconds"):
            new = None
        return self._store(kind, old, new)

    def _grace(self, kind: Kind, obj: Obj, asked: int | None) -> int:
        if kind is not PODS or not obj["spec"].get("nodeName"):
            return 0
        if obj.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            return 0
        default = obj["spec"].get("terminationGracePeriodSeconds", 30)
        return default if asked is None else asked

    def _store(self, kind: Kind, old: Obj | None, new: Obj | None) -> Obj:
        self._revision += 1
        said = copy.deepcopy(new if new is not None else old)
        assert said is not None
        said["metadata"]["resourceVersion"] = str(self._revision)
        key = self._key(kind, said)
        if new is None:
            del self._objects[key]
        else:
            self._objects[key] = said
        change = Change(self._revision, kind, old, None if new is None else said)
        if new is None:
            change.old = said
        self._log.append(change)
        for watch in self._watches:
            watch.offer(change)
        return copy.deepcopy(said)


class FakeWatch:
    """See `client.base.Watch`."""

    def __init__(self, api: FakeApi, kind: Kind, chosen: Selection) -> None:
        self._api = api
        self._kind = kind
        self._chosen = chosen
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def offer(self, change: Change) -> None:
        if change.kind is not self._kind:
            return
        before = change.old is not None and self._chosen(change.old)
        after = change.new is not None and self._chosen(change.new)
        if after:
            self._queue.put(("MODIFIED" if before else "ADDED", copy.deepcopy(change.new)))
        elif before:
            gone = copy.deepcopy(change.old)
            gone["metadata"]["resourceVersion"] = str(change.revision)  # type: ignore[index]
            self._queue.put(("DELETED", gone))

    def put(self, item: Any) -> None:
        self._queue.put(item)

    def __iter__(self) -> Iterator[tuple[str, Obj]]:
        while True:
            try:
                item = self._queue.get(block=self._api.endless)
            except queue.Empty:
                self._api.forget(self)
                return
            if item is None:
                return
            if item == _COMPACTED:
                raise errors.Expired("too old resource version")
            if item == _CUT or self._api.down:
                raise errors.ServiceUnavailable("connection lost")
            yield item

    def close(self) -> None:
        self._queue.put(None)


class FakeEvents:
    """See `client.base.EventSink`: keeps what was said."""

    def __init__(self) -> None:
        self.said: builtins.list[tuple[str, str, str, str]] = []  # name, type, reason, message

    def event(
        self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "", component: str = ""
    ) -> None:
        self.said.append((meta.name(obj), type, reason, message))


def _selection(kind: Kind, namespace: str, labels: str, fields: str) -> Selection:
    by_labels = label_selectors.parse(labels)
    by_fields = field_selectors.parse(fields)

    def chosen(obj: Obj) -> bool:
        return (
            (not namespace or meta.namespace(obj) == namespace)
            and by_labels.matches(meta.labels(obj))
            and by_fields.matches(lambda path: _at(obj, path))
        )

    return chosen


def _at(obj: Any, path: str) -> str:
    for part in path.split("."):
        obj = (obj or {}).get(part)
    return "" if obj is None else str(obj)


def _merge(doc: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    doc = doc if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            doc.pop(key, None)
        else:
            doc[key] = _merge(doc.get(key), value)
    return doc
