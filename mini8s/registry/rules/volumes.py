"""Rules of volumes: a name each, exactly one source."""

from __future__ import annotations

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, named, required
from mini8s.registry.rules import resources, values

_HOST_PATHS = frozenset({
    "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
})  # fmt: skip
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


def _downward(source: Obj, field: str) -> Causes:
    yield from _mode(source, "defaultMode", field)
    for index, item in enumerate(source.get("items") or ()):
        path = f"{field}.items[{index}]"
        yield from _file_path(item, path)
        given = [part for part in ("fieldRef", "resourceFieldRef") if item.get(part) is not None]
        if not given:
            yield required(path, "one of fieldRef and resourceFieldRef is required")
        elif len(given) == 2:
            yield invalid(
                path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
            )


def _projected(source: Obj, field: str) -> Causes:
    yield from _mode(source, "defaultMode", field)
    for index, part in enumerate(source.get("sources") or ()):
        path = f"{field}.sources[{index}]"
        given = [name for name, value in part.items() if value is not None]
        if len(given) > 1:
            yield forbidden(path, "may not specify more than 1 volume type")
        for name in given:
            if name in {"configMap", "secret"}:
                yield from values.said(part[name], "name", f"{path}.{name}")
                yield from _items(part[name], f"{path}.{name}")
            elif name == "downwardAPI":
                yield from _downward(part[name], f"{path}.{name}")


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


_CHECKS = {
    "hostPath": _host_path,
    "configMap": _config_map,
    "secret": _secret,
    "emptyDir": _empty_dir,
    "persistentVolumeClaim": _claim,
    "downwardAPI": _downward,
    "projected": _projected,
}
