"""The volume by which a pod's containers call the API: what admission puts into a pod that does not decline.

A manifest does not have it: whoever puts a pod's own manifest again means the pod as it is.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator

from mini8s.objects.kinds import Obj
from mini8s.objects.names import SUFFIX_LENGTH, SUFFIX_LETTERS
from mini8s.objects.pods import ROOT_CA

PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
PREFIX = "kube-api-access-"
TOKEN_SECONDS = 3607  # an hour, and seconds by which such tokens are told from others


def mount(spec: Obj, uid: str) -> None:
    """A container that has something there already keeps it; a volume that nobody mounts is not made."""
    known = next((str(one["name"]) for one in _volumes(spec)), "")
    name = known or f"{PREFIX}{_suffix(uid)}"
    bare = [container for container in _containers(spec) if not _mounts(container)]
    for container in bare:
        made = {"name": name, "mountPath": PATH, "readOnly": True}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), made]
    if bare and not known:
        spec["volumes"] = [*(spec.get("volumes") or ()), _volume(name)]


def keep(spec: Obj, was: Obj) -> None:
    """What a pod has and its manifest does not say."""
    if not any(_volumes(spec)):
        kept = [copy.deepcopy(volume) for volume in _volumes(was)]
        if kept:
            spec["volumes"] = [*(spec.get("volumes") or ()), *kept]
    before = {container.get("name"): _mounts(container) for container in _containers(was)}
    for container in _containers(spec):
        mounts = before.get(container.get("name"))
        if mounts and not _mounts(container):
            container["volumeMounts"] = [*(container.get("volumeMounts") or ()), *copy.deepcopy(mounts)]


def _volumes(spec: Obj) -> Iterator[Obj]:
    for volume in spec.get("volumes") or ():
        if str(volume.get("name") or "").startswith(PREFIX):
            yield volume


def _containers(spec: Obj) -> Iterator[Obj]:
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def _mounts(container: Obj) -> list[Obj]:
    return [mount for mount in container.get("volumeMounts") or () if mount.get("mountPath") == PATH]


def _volume(name: str) -> Obj:
    namespace = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"defaultMode": 0o644, "sources": sources}}


def _suffix(uid: str) -> str:
    """Letters that are as random as the pod's uid."""
    drawn = hashlib.sha256(uid.encode()).digest()
    return "".join(SUFFIX_LETTERS[byte % len(SUFFIX_LETTERS)] for byte in drawn[:SUFFIX_LENGTH])
