"""Rules of the small cluster-wide kinds: classes of storage, priority and runtime, CSI's records."""

from __future__ import annotations

from mini8s.objects import meta, names, quantity
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, named, required, too_long
from mini8s.registry.rules import pods, selectors, values

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
_SYSTEM = "system-"
_PREEMPTION = ("Never", "PreemptLowerPriority")
_LONGEST_DRIVER = 63


def priority_class(found: Obj) -> Causes:
    name, value = meta.name(found), found.get("value", 0)
    if name.startswith(_SYSTEM):
        if SYSTEM_PRIORITIES.get(name) != value:
            why = f"priority class names with '{_SYSTEM}' prefix are reserved for system use only"
            yield forbidden("metadata.name", why)
    elif value > HIGHEST_USER_PRIORITY:
        why = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        yield forbidden("value", why)
    yield from values.one_of(found, "preemptionPolicy", "", _PREEMPTION)


def priority_class_update(new: Obj, old: Obj) -> Causes:
    if new.get("value", 0) != old.get("value", 0):
        yield forbidden("value", "may not be changed in an update.")
    yield from values.unchanged(new, old, "preemptionPolicy")


def storage_class(found: Obj) -> Causes:
    provisioner = found.get("provisioner") or ""
    if not provisioner:
        yield required("provisioner")
    else:
        yield from named("provisioner", provisioner, names.qualified_name(provisioner.lower()))
    yield from values.one_of(found, "reclaimPolicy", "", ("Delete", "Retain"))
    ways = ("Immediate", "WaitForFirstConsumer")
    yield from values.one_of(found, "volumeBindingMode", "", ways, must=True)
    for key in found.get("parameters") or {}:
        if not key:
            yield invalid("parameters", key, "field can not be empty.")


def storage_class_update(new: Obj, old: Obj) -> Causes:
    for part in ("parameters", "provisioner", "reclaimPolicy"):
        if new.get(part) != old.get(part):
            yield forbidden(part, f"updates to {part} are forbidden.")
    yield from values.unchanged(new, old, "volumeBindingMode")


def runtime_class(found: Obj) -> Causes:
    handler, scheduling = found.get("handler") or "", found.get("scheduling") or {}
    yield from named("handler", handler, names.dns_label(handler))
    for name, amount in ((found.get("overhead") or {}).get("podFixed") or {}).items():
        if quantity.parse(amount) < 0:
            field = f"overhead.podFixed[{name}]"
            yield invalid(field, amount, "must be greater than or equal to 0")
    yield from pods.tolerations(scheduling.get("tolerations") or (), "scheduling.tolerations")


def same_handler(new: Obj, old: Obj) -> Causes:
    yield from values.unchanged(new, old, "handler")


def driver(found: Obj) -> Causes:
    if len(meta.name(found)) > _LONGEST_DRIVER:
        yield too_long("metadata.name", _LONGEST_DRIVER)
    spec = found.get("spec") or {}
    yield from values.each_one_of(
        spec.get("volumeLifecycleModes") or (), "spec.volumeLifecycleModes", ("Ephemeral", "Persistent")
    )
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    yield from values.one_of(spec, "fsGroupPolicy", "spec", policies)


def driver_update(new: Obj, old: Obj) -> Causes:
    yield from values.unchanged(new, old, "spec.attachRequired", "spec.volumeLifecycleModes")


def csi_node(found: Obj) -> Causes:
    seen: set[str] = set()
    for index, item in enumerate((found.get("spec") or {}).get("drivers") or ()):
        field, name = f"spec.drivers[{index}]", item.get("name") or ""
        yield from values.said(item, "name", field)
        yield from values.said(item, "nodeID", field)
        if name in seen:
            yield duplicate(f"{field}.name", name)
        seen.add(name)


def capacity(found: Obj) -> Causes:
    name = found.get("storageClassName") or ""
    if not name:
        yield required("storageClassName")
    else:
        yield from named("storageClassName", name, names.dns_subdomain(name))
    yield from selectors.label_selector(found.get("nodeTopology") or {}, "nodeTopology")


def same_capacity_place(new: Obj, old: Obj) -> Causes:
    yield from values.unchanged(new, old, "nodeTopology", "storageClassName")


def attachment(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    for part in ("attacher", "nodeName"):
        yield from values.said(spec, part, "spec")
    source = spec.get("source") or {}
    if not source.get("persistentVolumeName") and not source.get("inlineVolumeSpec"):
        why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        yield required("spec.source", why)


def same_attachment(new: Obj, old: Obj) -> Causes:
    yield from values.unchanged(new, old, "spec")
