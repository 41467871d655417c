"""Rules of PersistentVolumeClaims and PersistentVolumes."""

from __future__ import annotations

from collections.abc import Mapping

from mini8s.objects import names, quantity
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named, not_supported, required
from mini8s.registry.rules import selectors, values

_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")
_RECLAIM = ("Delete", "Recycle", "Retain")
# What a PersistentVolume says of itself; everything else of its spec is its source.
_ABOUT = frozenset({
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeMode", "volumeAttributesClassName",
})  # fmt: skip
_GROWS = frozenset({"resources", "volumeAttributesClassName"})


def claim(found: Obj) -> Causes:
    yield from spec(found.get("spec") or {}, "spec")


def spec(found: Obj, field: str) -> Causes:
    """A claim's spec, as it stands in claims and in a StatefulSet's templates."""
    yield from _access_modes(found, field)
    if selector := found.get("selector"):
        yield from selectors.label_selector(selector, f"{field}.selector")
    wanted = ((found.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is None:
        yield required(f"{field}.resources[storage]")
    else:
        yield from _positive(wanted, f"{field}.resources[storage]")
    yield from _class(found, field)
    yield from values.one_of(found, "volumeMode", field, _VOLUME_MODES)


def claim_update(new: Obj, old: Obj) -> Causes:
    """A claim that was made only grows, once it is bound; what was left open may be filled in."""
    spec, was = new["spec"], old["spec"]
    free = set(_GROWS if (old.get("status") or {}).get("phase") == "Bound" else ())
    free |= {part for part in ("volumeName", "storageClassName") if not was.get(part)}
    if any(spec.get(part) != was.get(part) for part in {*spec, *was} - free):
        yield forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims",
        )
    now, before = (_storage(part) for part in (spec, was))
    if "resources" in free and now < before:
        field = "spec.resources.requests.storage"
        yield forbidden(field, "field can not be less than previous value")


def volume(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    yield from _access_modes(spec, "spec")
    yield from _capacity(spec.get("capacity") or {})
    sources = [part for part in spec if part not in _ABOUT]
    if not sources:
        yield required("spec", "must specify a volume type")
    for extra in sources[1:]:
        yield forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    yield from values.one_of(spec, "persistentVolumeReclaimPolicy", "spec", _RECLAIM)
    yield from _place(spec)
    yield from _class(spec, "spec")
    yield from values.one_of(spec, "volumeMode", "spec", _VOLUME_MODES)


def volume_update(new: Obj, old: Obj) -> Causes:
    spec, was = new["spec"], old["spec"]
    if any(spec.get(part) != was.get(part) for part in {*spec, *was} - _ABOUT):
        why = "spec.persistentvolumesource is immutable after creation"
        yield forbidden("spec.persistentvolumesource", why)
    yield from values.unchanged(new, old, "spec.volumeMode")
    if was.get("nodeAffinity"):
        yield from values.unchanged(new, old, "spec.nodeAffinity")


def _access_modes(found: Obj, field: str) -> Causes:
    modes = found.get("accessModes") or ()
    if not modes:
        yield required(f"{field}.accessModes", "at least 1 access mode is required")
    for mode in modes:
        if mode not in _MODES:
            yield not_supported(f"{field}.accessModes", mode, _MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        why = "may not use ReadWriteOncePod with other access modes"
        yield forbidden(f"{field}.accessModes", why)


def _capacity(capacity: Mapping[str, str]) -> Causes:
    if not capacity:
        yield required("spec.capacity")
    elif set(capacity) != {"storage"}:
        yield not_supported("spec.capacity", capacity, ("storage",))
    for name, amount in capacity.items():
        yield from _positive(amount, f"spec.capacity[{name}]")


def _place(spec: Obj) -> Causes:
    """Where a volume is: a folder of a host, or a device that only some nodes have."""
    folder = spec.get("hostPath") or spec.get("local") or {}
    which = "hostPath" if spec.get("hostPath") else "local"
    if folder and not folder.get("path"):
        yield required(f"spec.{which}.path")
    elif folder and ".." in folder["path"].split("/"):
        yield invalid(f"spec.{which}.path", folder["path"], "must not contain '..'")
    required_terms = (spec.get("nodeAffinity") or {}).get("required")
    if spec.get("nodeAffinity") and required_terms is None:
        yield required("spec.nodeAffinity.required", "must specify required node constraints")
    elif required_terms is not None:
        yield from selectors.node_selector(required_terms, "spec.nodeAffinity.required")
    elif spec.get("local"):
        yield required("spec.nodeAffinity", "Local volume requires node affinity")
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle" and folder.get("path") == "/":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden("spec.persistentVolumeReclaimPolicy", why)


def _class(found: Obj, field: str) -> Causes:
    if name := found.get("storageClassName"):
        yield from named(f"{field}.storageClassName", name, names.dns_subdomain(name))


def _positive(amount: str, field: str) -> Causes:
    if quantity.parse(amount) <= 0:
        yield invalid(field, amount, "must be greater than zero")


def _storage(spec: Obj) -> int:
    stated = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return 0 if stated is None else quantity.value(stated)
