"""PURE: where an image is asked for, and who asks: mirrors and credentials of the node, and pull secrets.

The node's own settings have the form of k3s' `registries.yaml`
(https://docs.k3s.io/installation/private-registry); pull secrets are Docker's `config.json`
(https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from mini8s.agent.runtime.specs import RegistryAuth
from mini8s.objects.kinds import Obj

DOCKER_HUB = "docker.io"
_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_FILES = (("ca_file", "ca.crt"), ("cert_file", "client.cert"), ("key_file", "client.key"))


class BadRegistries(Exception):
    """The node's settings can't be used; the message says which part."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name in parts: `host/path` and `rest`, a tag or digest with its mark."""

    host: str
    path: str
    rest: str

    @classmethod
    def of(cls, image: str) -> Reference:
        """The first part is a host when it looks like one (distribution/reference)."""
        first, slash, others = image.partition("/")
        if not slash or not (set(".:") & set(first) or first == "localhost"):
            first, others = DOCKER_HUB, image
        found = re.match(r"[^:@]*", others)
        path = found[0] if found else others
        if first == DOCKER_HUB and "/" not in path:
            return cls(first, f"library/{path}", others[len(path) :])
        return cls(first, path, others[len(path) :])


@dataclass(frozen=True, slots=True)
class Mirror:
    """Hosts (with a path before the image's own, if any) that are asked first; `rewrites` change the path."""

    places: Sequence[str] = ()
    rewrites: Mapping[str, str] = field(default_factory=dict)

    def names(self, wanted: Reference) -> Iterator[str]:
        path = wanted.path
        for pattern, replacement in self.rewrites.items():
            changed = re.sub(pattern, re.sub(r"\$(\d+)", r"\\\1", replacement), path, count=1)
            if changed != path:
                path = changed
                break
        for place in self.places:
            yield f"{place}/{path}{wanted.rest}"


@dataclass(frozen=True, slots=True)
class Registries:
    """`files` are certificates by registry host: the engine's name of each, and where it lies."""

    mirrors: Mapping[str, Mirror] = field(default_factory=dict)
    auths: Mapping[str, RegistryAuth] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unverified: Sequence[str] = ()  # hosts that the engine itself must be told to trust

    def attempts(self, image: str, secrets: Iterable[Obj]) -> Iterator[tuple[str, RegistryAuth | None]]:
        """(name to ask for, who asks), in order: mirrors before the place itself, credentials before none.
        What is named by its digest has no other name, so no mirror is asked for it."""
        wanted, keys = Reference.of(image), [entry for secret in secrets for entry in entries(secret)]
        mirror = self.mirrors.get(wanted.host) or self.mirrors.get("*") or Mirror()
        mirrored = () if wanted.rest.startswith("@") else tuple(mirror.names(wanted))
        for name in (*mirrored, image):
            there = Reference.of(name)
            found: list[RegistryAuth | None] = [auth for _, auth in _matching(there, keys)]
            if own := self.auths.get(there.host):
                found.append(own)
            for auth in found or [None]:
                yield name, auth


def parse(document: Any) -> Registries:
    """`registries.yaml`, as a value. Raises BadRegistries."""
    if document is None:
        return Registries()
    whole = _mapping(document, "the file")
    if unknown := sorted(set(whole) - {"mirrors", "configs"}):
        raise BadRegistries(f"there is no {unknown[0]}: only mirrors and configs")
    mirrors = _mapping(whole.get("mirrors") or {}, "mirrors")
    configs = _mapping(whole.get("configs") or {}, "configs")
    auths = {
        str(host): _auth(_mapping(one.get("auth"), f"configs.{host}.auth"))
        for host, one in configs.items()
        if _mapping(one, f"configs.{host}").get("auth")
    }
    tls = {str(host): _mapping(one.get("tls") or {}, f"configs.{host}.tls") for host, one in configs.items()}
    return Registries(
        mirrors={str(host): _mirror(one, f"mirrors.{host}") for host, one in mirrors.items()},
        auths=auths,
        files={
            host: {name: str(one[key]) for key, name in _FILES if one.get(key)} for host, one in tls.items()
        },
        unverified=sorted(host for host, one in tls.items() if one.get("insecure_skip_verify")),
    )


def entries(secret: Obj) -> Iterator[tuple[str, RegistryAuth]]:
    """(where it is meant for, credentials) of a pull secret. What can't be read says nothing, as upstream."""
    for key, wrapped in ((".dockerconfigjson", True), (".dockercfg", False)):
        text = (secret.get("data") or {}).get(key)
        if not text:
            continue
        try:
            found = json.loads(base64.b64decode(text))
            listed = found.get("auths") or {} if wrapped else found
            yield from ((str(place), _auth(one)) for place, one in listed.items())
        except (ValueError, AttributeError, TypeError, BadRegistries):
            continue


def _matching(wanted: Reference, keys: Iterable[tuple[str, RegistryAuth]]) -> list[tuple[str, RegistryAuth]]:
    """Those meant for it, the most exact first."""
    found = [(place, auth) for place, auth in keys if _meant(place, wanted)]
    return sorted(found, key=lambda pair: -len(pair[0]))


def _meant(place: str, wanted: Reference) -> bool:
    host, _, path = re.sub(r"^https?://", "", place).partition("/")
    if host in _HUB_NAMES:
        return wanted.host in _HUB_NAMES
    path = re.sub(r"^v[12](/|$)", "", path).strip("/")
    if path and wanted.path != path and not wanted.path.startswith(f"{path}/"):
        return False
    ours, theirs = host.split("."), wanted.host.split(".")
    return len(ours) == len(theirs) and all(map(fnmatchcase, theirs, ours))


def _auth(said: Mapping[str, Any]) -> RegistryAuth:
    """A user with a password, both in `auth`, or a token."""
    user, password = str(said.get("username") or ""), str(said.get("password") or "")
    if said.get("auth") and not user:
        try:
            user, _, password = base64.b64decode(said["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadRegistries("auth is not base64 of USER:PASSWORD") from error
    token = str(said.get("identity_token") or said.get("identitytoken") or "")
    return RegistryAuth(user, password, token)


def _mirror(said: Any, where: str) -> Mirror:
    holder = _mapping(said, where)
    listed = holder.get("endpoint") or []
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise BadRegistries(f"{where}.endpoint is not a list of addresses")
    rewrites = {str(key): str(value) for key, value in _mapping(holder.get("rewrite") or {}, where).items()}
    for pattern in rewrites:
        try:
            re.compile(pattern)
        except re.error as error:
            raise BadRegistries(f"{where}.rewrite: {pattern!r} is no pattern: {error}") from error
    return Mirror([_place(one) for one in listed], rewrites)


def _place(endpoint: str) -> str:
    """Docker finds the scheme itself."""
    return re.sub(r"/v2$", "", re.sub(r"^https?://", "", endpoint).rstrip("/"))


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadRegistries(f"{where} is not a mapping")
    return value
