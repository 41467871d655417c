"""PURE: the files of a configMap, secret, downwardAPI or projected volume."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.agent.kubelet.downward import Placed, field_value, resource_value
from mini8s.agent.kubelet.lookup import Lookup, Missing, need
from mini8s.objects import meta
from mini8s.objects.kinds import CONFIGMAPS, SECRETS, Kind, Obj

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    data: bytes
    mode: int


Payload = Mapping[str, File]  # by path below the volume
KEYS = ("configMap", "secret", "downwardAPI", "projected")


def payload(placed: Placed, volume: Obj, lookup: Lookup) -> Payload:
    """The files of a volume. Raises Missing."""
    if "projected" in volume:
        return _projected(placed, volume["projected"], lookup)
    word = next(word for word in KEYS if word in volume)
    source = volume[word]
    return _source(placed, word, source, source.get("defaultMode", DEFAULT_MODE), lookup)


def _projected(placed: Placed, source: Obj, lookup: Lookup) -> Payload:
    files: dict[str, File] = {}
    for part in source.get("sources") or ():
        for word, projection in part.items():
            files |= _source(placed, word, projection, source.get("defaultMode", DEFAULT_MODE), lookup)
    return files


def _source(placed: Placed, word: str, source: Obj, mode: int, lookup: Lookup) -> Payload:
    if word == "downwardAPI":
        return _downward(placed, source, mode)
    kinds = {"configMap": CONFIGMAPS, "secret": SECRETS}
    if word not in kinds:
        raise Missing(f"a projected source {word} is not served by this node")
    name = source.get("secretName") or source.get("name") or ""
    return _keys(meta.namespace(placed.pod), kinds[word], name, source, mode, lookup)


def _keys(namespace: str, kind: Kind, name: str, source: Obj, mode: int, lookup: Lookup) -> Payload:
    optional = bool(source.get("optional"))
    found = need(lookup, kind, namespace, name, optional=optional)
    contents = _contents(kind, found or {})
    items = source.get("items")
    if not items:
        return {key: File(data, mode) for key, data in contents.items()}
    files = {}
    for item in items:
        if item["key"] in contents:
            files[item["path"]] = File(contents[item["key"]], _mode(item, mode))
        elif not optional:
            raise Missing(
                f"references non-existent {'config' if kind is CONFIGMAPS else 'secret'} key: {item['key']}"
            )
    return files


def _contents(kind: Kind, found: Obj) -> dict[str, bytes]:
    plain, coded = found.get("data") or {}, found.get("binaryData") or {}
    if kind is SECRETS:
        plain, coded = {}, plain
    return {key: text.encode() for key, text in plain.items()} | {
        key: base64.b64decode(text) for key, text in coded.items()
    }


def _downward(placed: Placed, source: Obj, mode: int) -> Payload:
    files = {}
    for item in source.get("items") or ():
        if "fieldRef" in item:
            value = field_value(placed, item["fieldRef"]["fieldPath"])
        else:
            value = resource_value(placed, item["resourceFieldRef"], "")
        files[item["path"]] = File(value.encode(), _mode(item, mode))
    return files


def _mode(item: Obj, default: int) -> int:
    mode = item.get("mode")
    return default if mode is None else int(mode)
