"""A namespace that is deleted takes all it contains with it, and says what it still waits for.

What it contains is read from the server and not from caches: a namespace may go only when nothing is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mini8s.controllers.actions import NOTHING, Action, Burst, Plan, Update, delete, patch_status
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import conditions, meta
from mini8s.objects.kinds import NAMESPACES, PODS, STORED, Kind, Obj

FINALIZER = "kubernetes"
AT_ONCE_SECONDS = 0.05  # what has no finalizer and no grace is gone by then
CONTENT: tuple[Kind, ...] = tuple(kind for kind in STORED if kind.namespaced)


class Namespaces:
    name = "namespace"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._namespaces = context.cache(NAMESPACES)
        context.cache(PODS)
        self.sources = (Source(NAMESPACES, by_object(own_key)), Source(PODS, self._pod_gone))

    def plan(self, key: str) -> Plan:
        namespace = self._namespaces.get("", key)
        if namespace is None or not meta.deleting(namespace):
            return NOTHING
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return NOTHING
        content = {kind: self._context.api.list(kind, key).items for kind in CONTENT}
        return plan(
            namespace, content, self._context.clock.now(), self._context.settings.resync_namespace_seconds
        )

    def _pod_gone(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """The last pod's end is what is mostly waited for."""
        if new is not None or old is None:
            return ()
        namespace = self._namespaces.get("", meta.namespace(old))
        return (meta.name(namespace),) if namespace and meta.deleting(namespace) else ()


def plan(namespace: Obj, content: Mapping[Kind, Sequence[Obj]], now: datetime, resync: float) -> Plan:
    left = {kind: items for kind, items in content.items() if items}
    if not left:
        said = patch_status(NAMESPACES, namespace, _status(namespace, left, now))
        return Plan((*said, Update(NAMESPACES, _finalized(namespace), "finalize")), said="empty, it goes")
    deletions = tuple(
        delete(kind, obj) for kind, items in left.items() for obj in items if not meta.deleting(obj)
    )
    actions: tuple[Action, ...] = (Burst(deletions),) if deletions else ()
    if not deletions:
        actions = patch_status(NAMESPACES, namespace, _status(namespace, left, now))
    return Plan(actions, AT_ONCE_SECONDS if deletions else resync, f"waits for {_remaining(left)}")


def _finalized(namespace: Obj) -> Obj:
    """Without its version: what else changes in a namespace that is empty and ends does not matter."""
    others = [item for item in namespace["spec"]["finalizers"] if item != FINALIZER]
    metadata = {key: value for key, value in namespace["metadata"].items() if key != "resourceVersion"}
    return namespace | {"metadata": metadata, "spec": namespace["spec"] | {"finalizers": others}}


def _status(namespace: Obj, left: Mapping[Kind, Sequence[Obj]], now: datetime) -> Obj:
    status: Obj = namespace.get("status") or {}
    found = status.get("conditions") or []
    for about, value, reason, message in _said(left):
        found = conditions.set_condition(found, about, value, reason=reason, message=message, now=now)
    return status | {"conditions": found}


def _said(left: Mapping[Kind, Sequence[Obj]]) -> Iterable[tuple[str, str, str, str]]:
    yield (
        "NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered",
        "All resources successfully discovered",
    )  # fmt: skip
    yield (
        "NamespaceDeletionGroupVersionParsingFailure", "False", "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    )  # fmt: skip
    yield (
        "NamespaceDeletionContentFailure", "False", "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    )  # fmt: skip
    if left:
        what = f"Some resources are remaining: {_remaining(left)}"
        yield "NamespaceContentRemaining", "True", "SomeResourcesRemain", what
    else:
        yield "NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"
    counts = Counter(item for items in left.values() for obj in items for item in meta.finalizers(obj))
    if counts:
        said = ", ".join(f"{item} in {count} resource instances" for item, count in sorted(counts.items()))
        what = f"Some content in the namespace has finalizers remaining: {said}"
        yield "NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", what
    else:
        what = "All content-preserving finalizers finished"
        yield "NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", what


def _remaining(left: Mapping[Kind, Sequence[Obj]]) -> str:
    said = sorted(
        f"{kind.plural}.{kind.group} has {len(items)} resource instances" for kind, items in left.items()
    )
    return ", ".join(said)
