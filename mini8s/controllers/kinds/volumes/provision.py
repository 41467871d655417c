"""PURE: a volume for a claim that none fits: made of a node's disk when the class is ours, awaited when it is
somebody else's."""

from __future__ import annotations

from dataclasses import dataclass

from mini8s.controllers.actions import NORMAL, WARNING, Action, Create, Tell, patch
from mini8s.objects import claims, meta
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, Obj

_MODES = {"ReadWriteOnce", "ReadWriteOncePod"}  # a folder of one node's disk
_UNSUPPORTED = ("selector", "dataSource", "dataSourceRef")


@dataclass(frozen=True, slots=True)
class Wish:
    """`node` is the one that was selected for the claim, if it is there."""

    claim: Obj
    storage_class: Obj | None
    node: Obj | None


def provision(wish: Wish) -> tuple[Action, ...]:
    claim, found = wish.claim, wish.storage_class
    if found is None:
        name = claims.class_name(claim)
        return (_failed(claim, f'storageclass.storage.k8s.io "{name}" not found'),)
    provisioner = str(found.get("provisioner"))
    if provisioner == claims.NO_PROVISIONER:
        return (_failed(claim, f"no volume plugin matched name: {provisioner}"),)
    marked = _marked(claim, provisioner)
    if provisioner == claims.PROVISIONER:
        return (*marked, *_of_a_disk(wish, found))
    why = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually "
        "by the system administrator. If volume creation is delayed, please verify that the provisioner is "
        "running and correctly registered."
    )
    return (*marked, Tell(claim, NORMAL, "ExternalProvisioning", why))


def volume_name(claim: Obj) -> str:
    return f"pvc-{meta.uid(claim)}"


def _marked(claim: Obj, provisioner: str) -> tuple[Action, ...]:
    """Who is to make the volume is told by annotations, which provisioners look for."""
    said = {claims.STORAGE_PROVISIONER: provisioner, claims.OLD_STORAGE_PROVISIONER: provisioner}
    if said.items() <= meta.annotations(claim).items():
        return ()
    return (patch(PERSISTENTVOLUMECLAIMS, claim, {"metadata": {"annotations": said}}),)


def _of_a_disk(wish: Wish, found: Obj) -> tuple[Action, ...]:
    claim = wish.claim
    refused = _refusal(claim, found)
    if refused:
        name = meta.name(found)
        return (_failed(claim, f'failed to provision volume with StorageClass "{name}": {refused}'),)
    folder = meta.annotations(wish.node or {}).get(claims.OUR_FOLDER)
    if wish.node is None or not folder:
        gone = meta.annotations(claim)[claims.SELECTED_NODE]
        why = f"node {gone} is not there or keeps no volumes: another one is to be selected"
        again = {"metadata": {"annotations": {claims.SELECTED_NODE: None}}}
        return (_failed(claim, why), patch(PERSISTENTVOLUMECLAIMS, claim, again, swap=True))
    made = _volume(claim, found, wish.node, folder)
    name = meta.name(made)
    begun = f'Provisioner is making volume {name} for claim "{meta.key(claim)}"'
    return (
        Tell(claim, NORMAL, "Provisioning", begun),
        Create(PERSISTENTVOLUMES, made),
        Tell(claim, NORMAL, "ProvisioningSucceeded", f"Successfully provisioned volume {name}"),
    )


def _refusal(claim: Obj, found: Obj) -> str:
    spec = claim["spec"]
    if not set(spec.get("accessModes") or ()) <= _MODES:
        return "only the access modes ReadWriteOnce and ReadWriteOncePod are served by a node's own disk"
    if spec.get("volumeMode") == "Block":
        return "volumeMode Block is not served by a node's own disk"
    for part in _UNSUPPORTED:
        if spec.get(part):
            return f"claim.spec.{part} is not supported"
    if found.get("mountOptions"):
        return "mountOptions are not supported"
    if claims.SELECTED_NODE not in meta.annotations(claim):
        return "configuration error, no node was specified: volumeBindingMode must be WaitForFirstConsumer"
    return ""


def _volume(claim: Obj, found: Obj, node: Obj, folder: str) -> Obj:
    host = meta.labels(node).get(claims.HOST_NAME) or meta.name(node)
    term = {"matchExpressions": [{"key": claims.HOST_NAME, "operator": "In", "values": [host]}]}
    name = volume_name(claim)
    return {
        "apiVersion": PERSISTENTVOLUMES.api_version,
        "kind": PERSISTENTVOLUMES.kind,
        "metadata": {
            "name": name,
            "annotations": {
                claims.PROVISIONED_BY: claims.PROVISIONER,
                claims.OUR_NODE: meta.name(node),
            },
            "finalizers": [claims.VOLUME_PROTECTION, claims.OUR_FINALIZER],
        },
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": claims.reference(claim),
            "local": {"path": f"{folder}/{name}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            "persistentVolumeReclaimPolicy": found.get("reclaimPolicy") or "Delete",
            "storageClassName": meta.name(found),
            "volumeMode": "Filesystem",
        },
    }


def _failed(claim: Obj, why: str) -> Tell:
    return Tell(claim, WARNING, "ProvisioningFailed", why)
