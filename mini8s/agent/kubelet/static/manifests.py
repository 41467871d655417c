"""PURE: pods that a host runs by itself, from manifests in a folder, and their mirrors in the API.

A static pod is named after its host, and its uid is a digest of what it says and where: a file that changes
is another pod. The mirror only shows it; who deletes the mirror gets a new one. Annotations, names and
refusals are upstream's (`config/common.go`, `pod/mirror_client.go`, NodeRestriction).
"""

from __future__ import annotations

import hashlib
from enum import Enum

from mini8s.objects import meta, names, pods, schema
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import NODES, PODS, Obj

HASH = "kubernetes.io/config.hash"
SOURCE = "kubernetes.io/config.source"
SEEN = "kubernetes.io/config.seen"


class Step(Enum):
    """What to do about a mirror."""

    CREATE = "create"
    DELETE = "delete"
    NOTHING = "nothing"


def parse(said: Obj, content: bytes, *, path: str, node: str, seen: str) -> Obj:
    """The pod that a manifest means on this node. Raises BadRequest."""
    if not isinstance(said, dict) or (said.get("apiVersion"), said.get("kind")) != ("v1", "Pod"):
        raise BadRequest("a static pod's manifest holds one object, a Pod of v1")
    problems = schema.validate(PODS, said)
    if problems.errors or problems.unknown:
        found = [cause.message for cause in problems.errors]
        raise BadRequest("; ".join([*found, *(f"unknown field {path}" for path in problems.unknown)]))
    made = schema.apply_defaults(PODS, said)
    _check(made)
    uid = hashlib.sha256(b"\0".join((node.encode(), path.encode(), content))).hexdigest()[:32]
    own = {HASH: uid, SOURCE: "file", SEEN: seen}
    metadata = {
        "name": f"{meta.name(made)}-{node.lower()}",
        "namespace": meta.namespace(made) or "default",
        "uid": uid,
        "labels": meta.labels(made),
        "annotations": {**meta.annotations(made), **own},
        "creationTimestamp": seen,
    }
    always = {"operator": "Exists", "effect": "NoExecute"}
    tolerations = [*(made["spec"].get("tolerations") or ()), always]
    spec = {**made["spec"], "nodeName": node, "tolerations": tolerations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def is_mirror(pod: Obj) -> bool:
    return pods.MIRROR in meta.annotations(pod)


def is_static(uid: str) -> bool:
    """Whether a uid was made here: the API's have dashes."""
    return len(uid) == 32 and "-" not in uid


def mirror_of(static: Obj, node_uid: str) -> Obj:
    """The object to show in the API; it goes with its node."""
    metadata = {part: static["metadata"][part] for part in ("name", "namespace", "labels", "annotations")}
    metadata["annotations"] = {**metadata["annotations"], pods.MIRROR: meta.uid(static)}
    owner = {"metadata": {"name": static["spec"]["nodeName"], "uid": node_uid}}
    reference = {**meta.new_controller_ref(owner, NODES)}
    reference.pop("blockOwnerDeletion", None)
    return {**static, "metadata": {**metadata, "ownerReferences": [reference]}}


def mirror_step(static: Obj | None, mirror: Obj | None, *, leaving: bool) -> Step:
    """`leaving`: a pod of the name is still on its way out, and its mirror tells of it."""
    if mirror is None:
        return Step.CREATE if static is not None else Step.NOTHING
    if static is None:
        return Step.NOTHING if leaving else Step.DELETE
    shows = meta.annotations(mirror)[pods.MIRROR] == meta.uid(static)
    return Step.NOTHING if shows and not meta.deleting(mirror) else Step.DELETE


def _check(pod: Obj) -> None:
    if wrong := names.dns_subdomain(meta.name(pod)):
        raise BadRequest(f"metadata.name: {wrong}")
    spec = pod.get("spec") or {}
    if not spec.get("containers"):
        raise BadRequest("spec.containers: Required value")
    if spec.get("ephemeralContainers"):
        raise BadRequest("spec.ephemeralContainers: Forbidden: cannot be set on create")
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        if not container.get("name") or not container.get("image"):
            raise BadRequest("each container needs a name and an image")
    if what := pods.referenced(spec):
        raise BadRequest(f"a static pod may not reference {what}: it runs without the API")
