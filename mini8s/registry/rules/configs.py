"""Rules of ConfigMaps and Secrets: keys that can be files, a size, and immutable ones."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from mini8s.objects import names
from mini8s.objects.errors import Cause
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named, required, too_long

_MOST = 1 << 20
_FIXED = "field is immutable when `immutable` is set"
# What each type of Secret must hold.
_HOLDS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT = "kubernetes.io/service-account"


def config_map(found: Obj) -> Causes:
    text, binary = found.get("data") or {}, found.get("binaryData") or {}
    size = sum(len(value.encode()) for value in text.values())
    for key in text:
        yield from named(f"data[{key}]", key, names.config_key(key))
        if key in binary:
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    size += yield from _binary(binary, "binaryData")
    if size > _MOST:
        yield too_long("", _MOST)


def secret(found: Obj) -> Causes:
    data = found.get("data") or {}
    size = yield from _binary(data, "data")
    if size > _MOST:
        yield too_long("data", _MOST)
    for key in _HOLDS.get(found.get("type") or "", ()):
        if key not in data:
            yield required(f"data[{key}]")
    if found.get("type") == f"{_ACCOUNT}-token":
        account = (found["metadata"].get("annotations") or {}).get(f"{_ACCOUNT}.name")
        if not account:
            yield required(f"metadata.annotations[{_ACCOUNT}.name]")
    if found.get("type") == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield required("data[username]")
        yield required("data[password]")


def immutable(new: Obj, old: Obj) -> Causes:
    """What is immutable stays, and stays so."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden("immutable", _FIXED)
    for part in ("data", "binaryData"):
        if (new.get(part) or {}) != (old.get(part) or {}):
            yield forbidden(part, _FIXED)


def same_type(new: Obj, old: Obj) -> Causes:
    if new.get("type") != old.get("type"):
        yield invalid("type", new.get("type"), "field is immutable")


def _binary(data: Mapping[str, str], field: str) -> Generator[Cause, None, int]:
    """Returns about how many bytes are encoded there; that it is base64 is the schema's matter."""
    size = 0
    for key, value in data.items():
        yield from named(f"{field}[{key}]", key, names.config_key(key))
        size += len(value) * 3 // 4
    return size
