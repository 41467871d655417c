"""PURE: claims for storage and the volumes that fulfil them: what both sides say of each other.

Upstream's rules of `pkg/controller/volume/persistentvolume` and of `component-helpers/storage/volume`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mini8s.objects import labels, meta, node_terms, quantity
from mini8s.objects.kinds import Obj

PROVISIONER = "mini8s.io/local-path"  # our own, of the StorageClass `local-path`
NO_PROVISIONER = "kubernetes.io/no-provisioner"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
OLD_STORAGE_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
CLAIM_PROTECTION, VOLUME_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
OUR_FINALIZER = "mini8s.io/local-path"  # held until the node has removed the files
OUR_NODE = "mini8s.io/local-path-node"  # a volume's annotation: the node whose disk it is made of
OUR_FOLDER = "mini8s.io/local-path-folder"  # a node's annotation: where it keeps such volumes
SIZE_ENFORCED = "mini8s.io/size-enforced"  # a volume's annotation: whether more than its size can be written
SIZE_MADE = "mini8s.io/size-bytes"  # a volume's annotation: the size its node has made of it
_DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
HOST_NAME = "kubernetes.io/hostname"
# What a PersistentVolume says of itself; everything else of its spec is its source.
ABOUT_VOLUME = frozenset({
    "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
    "storageClassName", "volumeMode", "volumeAttributesClassName",
})  # fmt: skip


def class_name(obj: Obj) -> str:
    """Of a claim or a volume; "" for none."""
    return meta.annotations(obj).get(OLD_CLASS) or obj["spec"].get("storageClassName") or ""


def requested(claim: Obj) -> int:
    """Bytes."""
    return quantity.value(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", 0))


def capacity(volume: Obj) -> int:
    """Bytes."""
    return quantity.value((volume["spec"].get("capacity") or {}).get("storage", 0))


def is_bound(claim: Obj) -> bool:
    return BIND_COMPLETED in meta.annotations(claim)


def is_ours(volume: Obj) -> bool:
    """Whether a node of ours makes and removes it."""
    return meta.annotations(volume).get(PROVISIONED_BY) == PROVISIONER


def belongs(volume: Obj, claim: Obj) -> bool:
    """Whether the volume says that it is this very claim's."""
    said = volume.get("spec", {}).get("claimRef") or {}
    return _names(said, claim) and said.get("uid") == meta.uid(claim)


def is_reserved(volume: Obj, claim: Obj) -> bool:
    """Whether it is this claim's, or was set aside for a claim of its name."""
    said = volume["spec"].get("claimRef") or {}
    return _names(said, claim) and said.get("uid") in {None, "", meta.uid(claim)}


def reference(claim: Obj) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": meta.namespace(claim),
        "name": meta.name(claim),
        "uid": meta.uid(claim),
        "resourceVersion": claim["metadata"].get("resourceVersion", ""),
    }


def best_match(
    claim: Obj,
    volumes: Iterable[Obj],
    *,
    node: Obj | None = None,
    taken: Iterable[str] = (),
    delayed: bool = False,
) -> Obj | None:
    """The volume to bind: the one set aside for the claim, else the smallest that will do. `node`: it must be
    reachable from there; `delayed`: without a node only one that was set aside counts; `taken`: names of
    volumes that others get."""
    fitting = []
    for volume in volumes:
        if meta.name(volume) in taken or meta.deleting(volume) or not _suits(volume, claim):
            continue
        if node is not None and not reachable(volume, node):
            continue
        if is_reserved(volume, claim):
            return volume
        if not volume["spec"].get("claimRef") and not (delayed and node is None):
            fitting.append(volume)
    return min(fitting, key=lambda volume: (capacity(volume), meta.name(volume)), default=None)


def reachable(volume: Obj, node: Obj) -> bool:
    """Whether pods on the node can have the volume."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return required is None or node_terms.matches(required, meta.labels(node), meta.name(node))


def on_node(volume: Obj) -> str:
    """The node that a volume made by us is on."""
    return meta.annotations(volume).get(OUR_NODE, "")


def is_default_class(found: Obj) -> bool:
    """Whether a StorageClass is meant by claims that name none."""
    return any(meta.annotations(found).get(key) == "true" for key in _DEFAULT_CLASS)


def default_class(classes: Iterable[Obj]) -> str:
    """Of several defaults the newest counts; of those made in the same second the first by name."""
    found = [one for one in classes if is_default_class(one)]
    newest = max((one["metadata"].get("creationTimestamp") or "" for one in found), default="")
    names = [meta.name(one) for one in found if (one["metadata"].get("creationTimestamp") or "") == newest]
    return min(names, default="")


def waits(storage_class: Obj | None) -> bool:
    """Whether claims of this class wait for a pod that uses them."""
    return (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"


def ephemeral_name(pod: Obj, volume: str) -> str:
    """The name of the claim made for a pod's ephemeral volume."""
    return f"{meta.name(pod)}-{volume}"


def is_made_for(claim: Obj, pod: Obj) -> bool:
    return (meta.controller_ref(claim) or {}).get("uid") == meta.uid(pod)


def of_pod(pod: Obj) -> Iterator[tuple[str, bool]]:
    """The names of the claims that a pod uses, and whether each is made for it."""
    for volume in pod["spec"].get("volumes") or ():
        if name := of_volume(pod, volume):
            yield name, "ephemeral" in volume


def of_volume(pod: Obj, volume: Obj) -> str:
    """The name of the claim behind one of a pod's volumes; "" when there is none."""
    if claim := volume.get("persistentVolumeClaim"):
        return str(claim["claimName"])
    return ephemeral_name(pod, volume["name"]) if "ephemeral" in volume else ""


def names(volume: Obj, claim: Obj) -> bool:
    """Whether the volume says the claim's name, whoever bears it."""
    return _names(volume["spec"].get("claimRef") or {}, claim)


def mismatch(volume: Obj, claim: Obj) -> str:
    """Why a claim that names the volume can't have it (`checkVolumeSatisfyClaim`); "" when it can."""
    spec, wish = volume["spec"], claim["spec"]
    if capacity(volume) < requested(claim):
        return "requested PV is too small"
    if class_name(volume) != class_name(claim):
        return "storageClassName does not match"
    if (spec.get("volumeMode") or "Filesystem") != (wish.get("volumeMode") or "Filesystem"):
        return "incompatible volumeMode"
    if not set(wish.get("accessModes") or ()) <= set(spec.get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def _names(said: Mapping[str, Any], claim: Obj) -> bool:
    return said.get("name") == meta.name(claim) and said.get("namespace") == meta.namespace(claim)


def _suits(volume: Obj, claim: Obj) -> bool:
    """Sort, class, size, modes and labels; a volume set aside for the claim need not have its labels."""
    if mismatch(volume, claim):
        return False
    if volume["spec"].get("claimRef"):
        return is_reserved(volume, claim)
    selector = claim["spec"].get("selector")
    return not selector or labels.from_label_selector(selector).matches(meta.labels(volume))
