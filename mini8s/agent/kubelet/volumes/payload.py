"""The files of a configMap, secret, downwardAPI or projected volume, from what lookup and tokens say."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from mini8s.agent.kubelet.downward import field_value, resource_value
from mini8s.agent.kubelet.lookup import Missing, need
from mini8s.agent.kubelet.volumes import ownership
from mini8s.agent.kubelet.volumes.base import Setting
from mini8s.objects import meta
from mini8s.objects.kinds import CONFIGMAPS, SECRETS, Kind, Obj

DEFAULT_MODE = 0o644
TOKEN_MODE = 0o600  # of a token that not everybody in the pod may read


@dataclass(frozen=True, slots=True)
class File:
    """`user` owns it; None is root."""

    data: bytes
    mode: int
    user: int | None = field(default=None, compare=False)


Payload = Mapping[str, File]  # by path below the volume
_KINDS = {"configMap": CONFIGMAPS, "secret": SECRETS}
_NO_KEY = {
    CONFIGMAPS: "configmap references non-existent config key",
    SECRETS: "references non-existent secret key",
}


def payload(setting: Setting, volume: Obj) -> Payload:
    """The files of a volume, with the rights that the pod's group needs. Raises Missing."""
    if "projected" in volume:
        files = _projected(setting, volume["projected"])
    else:
        word = next(word for word in ("downwardAPI", *_KINDS) if word in volume)
        files = _source(setting, word, volume[word] or {}, _default_mode(volume[word] or {}))
    if setting.group is None:
        return files
    return {path: File(one.data, ownership.with_group(one.mode), one.user) for path, one in files.items()}


def _projected(setting: Setting, source: Obj) -> dict[str, File]:
    files: dict[str, File] = {}
    for part in source.get("sources") or ():
        for word, projection in part.items():
            files |= _source(setting, word, projection, _default_mode(source))
    return files


def _source(setting: Setting, word: str, source: Obj, mode: int) -> dict[str, File]:
    if word == "downwardAPI":
        return _downward(setting, source, mode)
    if word == "serviceAccountToken":
        return {source["path"]: _token(setting, source, mode)}
    if word not in _KINDS:
        raise Missing(f"a projected source {word} is not served by this node")
    name = source.get("secretName") or source.get("name") or ""
    return _keys(setting, _KINDS[word], name, source, mode)


def _token(setting: Setting, source: Obj, mode: int) -> File:
    """Readable by all of the pod, unless one user or group can be told that it is theirs."""
    user = _only_user(setting.pod["spec"])
    if user is not None or setting.group is not None:
        mode = TOKEN_MODE
    return File(setting.tokens.token(setting.pod, source).encode(), mode, user)


def _only_user(spec: Obj) -> int | None:
    """The user that all containers run as, if they say that they run as one."""
    usual = (spec.get("securityContext") or {}).get("runAsUser")
    containers = (*(spec.get("initContainers") or ()), *spec["containers"])
    users = {(one.get("securityContext") or {}).get("runAsUser", usual) for one in containers}
    user = users.pop() if len(users) == 1 else None
    return None if user is None else int(user)


def _keys(setting: Setting, kind: Kind, name: str, source: Obj, mode: int) -> dict[str, File]:
    optional = bool(source.get("optional"))
    found = need(setting.lookup, kind, meta.namespace(setting.pod), name, optional=optional)
    contents = _contents(kind, found or {})
    items = source.get("items")
    if not items:
        return {key: File(data, mode) for key, data in contents.items()}
    files = {}
    for item in items:
        if item["key"] in contents:
            files[item["path"]] = File(contents[item["key"]], _mode(item, mode))
        elif not optional:
            raise Missing(f"{_NO_KEY[kind]}: {item['key']}")
    return files


def _contents(kind: Kind, found: Obj) -> dict[str, bytes]:
    plain, coded = found.get("data") or {}, found.get("binaryData") or {}
    if kind is SECRETS:
        plain, coded = {}, plain
    return {key: text.encode() for key, text in plain.items()} | {
        key: base64.b64decode(text) for key, text in coded.items()
    }


def _downward(setting: Setting, source: Obj, mode: int) -> dict[str, File]:
    files = {}
    for item in source.get("items") or ():
        if "fieldRef" in item:
            value = field_value(setting.placed, item["fieldRef"]["fieldPath"])
        else:
            value = resource_value(setting.placed, item["resourceFieldRef"], "")
        files[item["path"]] = File(value.encode(), _mode(item, mode))
    return files


def _default_mode(source: Obj) -> int:
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def _mode(item: Obj, default: int) -> int:
    mode = item.get("mode")
    return default if mode is None else int(mode)
