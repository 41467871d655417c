"""Rules of volumes: a name each, exactly one source."""

from __future__ import annotations

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, named, not_supported, required
from mini8s.registry.rules import claims, resources, values

_HOST_PATHS = frozenset({
    "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
})  # fmt: skip
_FIELDS = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
)  # fmt: skip
_KEYED = ("metadata.annotations['", "metadata.labels['")
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_LEAST_TOKEN, _MOST_TOKEN = 600, 1 << 32  # seconds
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"


def check(spec: Obj, field: str) -> Causes:
    seen: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        path, name = f"{field}.volumes[{index}]", volume.get("name") or ""
        if not name:
            yield required(f"{path}.name")
        else:
            yield from named(f"{path}.name", name, names.dns_label(name))
        if name and name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        yield from _source(volume, path)


def _source(volume: Obj, field: str) -> Causes:
    given = [part for part, value in volume.items() if part != "name" and value is not None]
    if not given:
        yield required(field, "must specify a volume type")
    for extra in given[1:]:
        yield forbidden(f"{field}.{extra}", "may not specify more than 1 volume type")
    if given and given[0] in _CHECKS:
        yield from _CHECKS[given[0]](volume[given[0]], f"{field}.{given[0]}")


def _host_path(source: Obj, field: str) -> Causes:
    path = source.get("path") or ""
    if not path:
        yield required(f"{field}.path")
    elif ".." in path.split("/"):
        yield invalid(f"{field}.path", path, "must not contain '..'")
    yield from values.one_of(source, "type", field, _HOST_PATHS)


def _config_map(source: Obj, field: str) -> Causes:
    yield from values.said(source, "name", field)
    yield from _items(source, field)


def _secret(source: Obj, field: str) -> Causes:
    yield from values.said(source, "secretName", field)
    yield from _items(source, field)


def _empty_dir(source: Obj, field: str) -> Causes:
    if source.get("sizeLimit") is not None:
        for cause in resources.amounts({"memory": source["sizeLimit"]}, f"{field}.sizeLimit"):
            yield invalid(f"{field}.sizeLimit", source["sizeLimit"], cause.message.rsplit(": ", 1)[-1])


def _claim(source: Obj, field: str) -> Causes:
    yield from values.said(source, "claimName", field)


def _ephemeral(source: Obj, field: str) -> Causes:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required(f"{field}.volumeClaimTemplate")
    else:
        yield from claims.spec(template.get("spec") or {}, f"{field}.volumeClaimTemplate.spec")


def _downward(source: Obj, field: str) -> Causes:
    yield from _mode(source, "defaultMode", field)
    for index, item in enumerate(source.get("items") or ()):
        path = f"{field}.items[{index}]"
        yield from _file_path(item, path)
        yield from _mode(item, "mode", path)
        given = [part for part in ("fieldRef", "resourceFieldRef") if item.get(part) is not None]
        if not given:
            yield required(path, "one of fieldRef and resourceFieldRef is required")
        elif len(given) == 2:
            yield invalid(
                path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
            )
        elif given == ["fieldRef"]:
            yield from _field(item["fieldRef"], f"{path}.fieldRef")
        else:
            yield from _resource(item["resourceFieldRef"], f"{path}.resourceFieldRef")


def _field(reference: Obj, field: str) -> Causes:
    """What a file may tell is what may change while the pod lives, or never does."""
    path = reference.get("fieldPath") or ""
    if not path:
        yield required(f"{field}.fieldPath")
    elif path not in _FIELDS and not path.startswith(_KEYED):
        yield not_supported(f"{field}.fieldPath", path, _FIELDS)


def _resource(reference: Obj, field: str) -> Causes:
    yield from values.said(reference, "containerName", field)
    name = reference.get("resource") or ""
    if not name:
        yield required(f"{field}.resource")
    elif name not in _RESOURCES and not name.startswith(_HUGE_PAGES):
        yield not_supported(f"{field}.resource", name, _RESOURCES)


def _projected(source: Obj, field: str) -> Causes:
    yield from _mode(source, "defaultMode", field)
    seen: set[str] = set()
    for index, part in enumerate(source.get("sources") or ()):
        path = f"{field}.sources[{index}]"
        given = [name for name, value in part.items() if value is not None]
        if len(given) > 1:
            yield forbidden(path, "may not specify more than 1 volume type")
        for name in given:
            if name in _PROJECTIONS:
                yield from _PROJECTIONS[name](part[name], f"{path}.{name}")
            for place in _paths(part[name]):
                if place in seen:
                    why = f"conflicting duplicate paths: {place}"
                    yield invalid(f"{path}.{name}", place, why)
                seen.add(place)


def _paths(projection: Obj) -> list[str]:
    """The files that a projection says it makes."""
    named = [item.get("path") for item in projection.get("items") or ()]
    return [path for path in (*named, projection.get("path")) if path]


def _named_items(source: Obj, field: str) -> Causes:
    yield from values.said(source, "name", field)
    yield from _items(source, field)


def _token(source: Obj, field: str) -> Causes:
    yield from _file_path(source, field)
    seconds = source.get("expirationSeconds")
    if seconds is not None and seconds < _LEAST_TOKEN:
        why = "may not specify a duration less than 10 minutes"
        yield invalid(f"{field}.expirationSeconds", seconds, why)
    if seconds is not None and seconds > _MOST_TOKEN:
        why = "may not specify a duration larger than 2^32 seconds"
        yield invalid(f"{field}.expirationSeconds", seconds, why)


def _items(source: Obj, field: str) -> Causes:
    yield from _mode(source, "defaultMode", field)
    for index, item in enumerate(source.get("items") or ()):
        path = f"{field}.items[{index}]"
        yield from values.said(item, "key", path)
        yield from _file_path(item, path)
        yield from _mode(item, "mode", path)


def _file_path(item: Obj, field: str) -> Causes:
    yield from values.said(item, "path", field)
    yield from values.inner_path(item.get("path") or "", f"{field}.path")


def _mode(holder: Obj, part: str, field: str) -> Causes:
    mode = holder.get(part)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(f"{field}.{part}", mode, _MODE)


_PROJECTIONS = {
    "configMap": _named_items,
    "secret": _named_items,
    "downwardAPI": _downward,
    "serviceAccountToken": _token,
    "clusterTrustBundle": _file_path,
}
_CHECKS = {
    "hostPath": _host_path,
    "configMap": _config_map,
    "secret": _secret,
    "emptyDir": _empty_dir,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "projected": _projected,
    "ephemeral": _ephemeral,
}
