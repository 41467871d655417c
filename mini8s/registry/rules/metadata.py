"""Rules of `metadata`, the same for every kind (`ValidateObjectMeta`, `ValidateObjectMetaUpdate`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mini8s.objects import meta, names
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import ON_NODE_LOST, ON_NODE_LOST_POLICIES
from mini8s.registry.problems import Causes, forbidden, invalid, named, not_supported, required, too_long

_ANNOTATIONS_MOST = 256 * 1024
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp")
_FIXED = "field is immutable"
_GC_FINALIZERS = frozenset({"orphan", "foregroundDeletion", "kubernetes"})


def check(obj: Obj, name_rule: Callable[[str], str | None]) -> Causes:
    said = obj["metadata"]
    prefix = said.get("generateName") or ""
    if prefix:
        masked = prefix[:-1] + "a" if prefix.endswith("-") else prefix
        yield from named("metadata.generateName", prefix, name_rule(masked))
    if not said.get("name"):
        yield required("metadata.name", "name or generateName is required")
    else:
        yield from named("metadata.name", said["name"], name_rule(said["name"]))
    if said.get("namespace"):
        yield from named("metadata.namespace", said["namespace"], names.dns_label(said["namespace"]))
    yield from labels(meta.labels(obj), "metadata.labels")
    yield from annotation_map(meta.annotations(obj))
    yield from _owners(obj)
    yield from _finalizers(obj)


def check_update(new: Obj, old: Obj) -> Causes:
    said, was = new["metadata"], old["metadata"]
    for field in _IMMUTABLE:
        if said.get(field) != was.get(field):
            yield invalid(f"metadata.{field}", said.get(field), _FIXED)
    grace = "deletionGracePeriodSeconds"
    if said.get(grace) != was.get(grace):
        yield invalid(f"metadata.{grace}", said.get(grace), _FIXED)
    added = sorted(set(meta.finalizers(new)) - set(meta.finalizers(old)))
    if added and meta.deleting(old):
        shown = ", ".join(f'"{item}"' for item in added)
        why = (
            "no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{shown}}}"
        )
        yield forbidden("metadata.finalizers", why)


def labels(found: Mapping[str, str], field: str) -> Causes:
    for key, value in found.items():
        yield from named(field, key, names.qualified_name(key))
        yield from named(field, value, names.label_value(value))


def annotation_map(found: Mapping[str, str], field: str = "metadata.annotations") -> Causes:
    size = 0
    for key, value in found.items():
        yield from named(field, key, names.qualified_name(key.lower()))
        if key == ON_NODE_LOST and value not in ON_NODE_LOST_POLICIES:
            yield not_supported(f"{field}[{key}]", value, ON_NODE_LOST_POLICIES)
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS_MOST:
        yield too_long(field, _ANNOTATIONS_MOST)


def _owners(obj: Obj) -> Causes:
    controllers = []
    for index, owner in enumerate(meta.owners(obj)):
        field = f"metadata.ownerReferences[{index}]"
        for part in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(part):
                yield invalid(f"{field}.{part}", owner.get(part, ""), f"{part} must not be empty")
        if owner.get("controller"):
            controllers.append(owner)
    if len(controllers) > 1:
        first, second = (owner.get("name") for owner in controllers[:2])
        why = (
            "Only one reference can have Controller set to true. "
            f'Found "true" in references for {first} and {second}'
        )
        yield invalid("metadata.ownerReferences", meta.owners(obj), why)


def _finalizers(obj: Obj) -> Causes:
    found = meta.finalizers(obj)
    for index, finalizer in enumerate(found):
        field = f"metadata.finalizers[{index}]"
        yield from named(field, finalizer, names.qualified_name(finalizer))
        if "/" not in finalizer and finalizer not in _GC_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(field, finalizer, why)
    if {"orphan", "foregroundDeletion"} <= set(found):
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        yield invalid("metadata.finalizers", found, why)
