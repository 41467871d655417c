"""The claims of each pod: made when missing, kept when the pod goes, and owned as the retention policy says.

`whenDeleted: Delete` makes the StatefulSet their owner, `whenScaled: Delete` the pod, when it is about to go
for good: the garbage collector does the rest (KEP-1847). What another controller has is left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

from mini8s.controllers.actions import Create, Patch, Words, patch
from mini8s.controllers.kinds.statefulset import identity
from mini8s.objects import meta
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS, Obj

DELETE = "Delete"


def names(owner: Obj, number: int) -> list[str]:
    return [identity.claim_name(owner, meta.name(one), number) for one in _templates(owner)]


def missing(owner: Obj, number: int, claims: Mapping[str, Obj]) -> Iterable[Create]:
    for template in _templates(owner):
        name = identity.claim_name(owner, meta.name(template), number)
        if name not in claims:
            what = f"create Claim {name} Pod {identity.name(owner, number)} in StatefulSet {meta.name(owner)}"
            words = Words(f"{what} success", f"{what} failed error: ")
            yield Create(PERSISTENTVOLUMECLAIMS, _claim(owner, template, name), owner=owner, words=words)


def in_the_way(owner: Obj, number: int, claims: Mapping[str, Obj]) -> str:
    """The claim that a new pod must not take over, because it goes: it is deleted, or it belongs to the pod's
    predecessor and is about to be."""
    for name in names(owner, number):
        found = claims.get(name)
        if found is None:
            continue
        doomed = _policy(owner, "whenScaled") == DELETE and _of_pod(found, identity.name(owner, number))
        if doomed or meta.deleting(found):
            return name
    return ""


def owned(owner: Obj, number: int, pod: Obj, claims: Mapping[str, Obj]) -> Iterable[Patch]:
    """The claims of a pod whose owners are not what the policy says."""
    for name in names(owner, number):
        found = claims.get(name)
        if found is None:
            continue
        wanted = _owners(owner, number, pod, found)
        if wanted is not None and wanted != meta.owners(found):
            change = {"metadata": {"ownerReferences": wanted or None}}
            yield patch(PERSISTENTVOLUMECLAIMS, found, change, swap=True)


def _owners(owner: Obj, number: int, pod: Obj, claim: Obj) -> list[Obj] | None:
    """None: it is another's."""
    ours = {meta.uid(owner), meta.uid(pod)}
    controller = meta.controller_ref(claim)
    if controller and controller["uid"] not in ours:
        return None
    others = [ref for ref in meta.owners(claim) if ref["uid"] not in ours]
    if number not in identity.numbers(owner) and _policy(owner, "whenScaled") == DELETE:
        return [*others, meta.new_controller_ref(pod, PODS)]
    if _policy(owner, "whenDeleted") == DELETE:
        return [*others, meta.new_controller_ref(owner, STATEFULSETS)]
    return others


def _claim(owner: Obj, template: Obj, name: str) -> Obj:
    said = template.get("metadata") or {}
    selected = (owner["spec"].get("selector") or {}).get("matchLabels") or {}
    metadata: Obj = {"name": name, "namespace": meta.namespace(owner)}
    if labels := {**(said.get("labels") or {}), **selected}:
        metadata["labels"] = labels
    if said.get("annotations"):
        metadata["annotations"] = dict(said["annotations"])
    if _policy(owner, "whenDeleted") == DELETE:
        metadata["ownerReferences"] = [meta.new_controller_ref(owner, STATEFULSETS)]
    return {
        "apiVersion": PERSISTENTVOLUMECLAIMS.api_version,
        "kind": PERSISTENTVOLUMECLAIMS.kind,
        "metadata": metadata,
        "spec": copy.deepcopy(template.get("spec") or {}),
    }


def _templates(owner: Obj) -> list[Obj]:
    return owner["spec"].get("volumeClaimTemplates") or []


def _policy(owner: Obj, when: str) -> str:
    return str((owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}).get(when) or "Retain")


def _of_pod(claim: Obj, name: str) -> bool:
    return any(ref["kind"] == PODS.kind and ref["name"] == name for ref in meta.owners(claim))
