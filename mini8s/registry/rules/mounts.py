"""Rules of what a container mounts: volumeMounts and volumeDevices."""

from __future__ import annotations

from collections.abc import Mapping

from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, not_found, not_supported, required
from mini8s.registry.rules import values

Declared = Mapping[str, Obj]  # the pod's volumes by name
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def check(container: Obj, volumes: Declared, field: str) -> Causes:
    yield from _mounts(container, volumes, f"{field}.volumeMounts")
    yield from _devices(container, volumes, f"{field}.volumeDevices")


def _mounts(container: Obj, volumes: Declared, field: str) -> Causes:
    seen: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        path, name, where = f"{field}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        yield from values.said(mount, "name", path)
        if name and name not in volumes:
            yield not_found(f"{path}.name", name)
        if not where:
            yield required(f"{path}.mountPath")
        elif where in seen:
            yield invalid(f"{path}.mountPath", where, "must be unique")
        seen.add(where)
        for part in ("subPath", "subPathExpr"):
            yield from values.inner_path(mount.get(part) or "", f"{path}.{part}")
        if mount.get("subPath") and mount.get("subPathExpr"):
            why = "subPathExpr and subPath are mutually exclusive"
            yield invalid(f"{path}.subPathExpr", mount["subPathExpr"], why)
        yield from _propagation(container, mount, path)
        yield from _recursive(mount, path)


def _propagation(container: Obj, mount: Obj, field: str) -> Causes:
    """What a container mounts reaches the host only by a privileged container's hand."""
    wish = mount.get("mountPropagation")
    if wish is not None and wish not in _PROPAGATIONS:
        yield not_supported(f"{field}.mountPropagation", wish, _PROPAGATIONS)
    if wish == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        why = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden(f"{field}.mountPropagation", why)


def _recursive(mount: Obj, field: str) -> Causes:
    wish, field = mount.get("recursiveReadOnly"), f"{field}.recursiveReadOnly"
    if wish is None or wish == "Disabled":
        return
    if wish not in _RECURSIVE:
        yield not_supported(field, wish, _RECURSIVE)
        return
    if not mount.get("readOnly"):
        yield forbidden(field, "may only be specified when readOnly is true")
    if mount.get("mountPropagation") not in {None, "None"}:
        yield forbidden(field, "may only be specified when mountPropagation is None or not specified")


def _devices(container: Obj, volumes: Declared, field: str) -> Causes:
    mounted = {mount.get("name") for mount in container.get("volumeMounts") or ()}
    for index, device in enumerate(container.get("volumeDevices") or ()):
        path, name = f"{field}[{index}]", device.get("name") or ""
        yield from values.said(device, "name", path)
        yield from values.said(device, "devicePath", path)
        if name and name not in volumes:
            yield not_found(f"{path}.name", name)
        elif name and not {"persistentVolumeClaim", "ephemeral"} & volumes[name].keys():
            why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            yield invalid(f"{path}.name", name, why)
        if name in mounted:
            yield invalid(f"{path}.name", name, "must not already exist in volumeMounts")
