"""PersistentVolumes: whose they are, and what becomes of them when their claim goes.

Upstream's `syncVolume` and `pv_protection_controller.go`. Nothing is thrown away before the server itself has
said that the claim is gone. A volume of a node's disk is deleted here and disappears once its node has
removed the files; when the node is gone for good, so are they.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers.actions import (
    NORMAL,
    NOTHING,
    WARNING,
    Action,
    Plan,
    Tell,
    delete,
    patch,
    patch_status,
)
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import claims, meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import NODES, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, Obj
from mini8s.objects.time import format_time


@dataclass(frozen=True, slots=True)
class Facts:
    """`claim` is the one that has the name the volume says, whoever it is; `has_node`: whether the node that
    the volume is made by is there."""

    volume: Obj
    claim: Obj | None
    has_node: bool = True

    @property
    def owner(self) -> Obj | None:
        """The claim that the volume means."""
        return self.claim if self.claim and claims.belongs(self.volume, self.claim) else None


class PersistentVolumes:
    name = "persistentvolume"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._volumes = context.cache(PERSISTENTVOLUMES)
        self._claims = context.cache(PERSISTENTVOLUMECLAIMS)
        self._nodes = context.cache(NODES)
        self.sources = (
            Source(PERSISTENTVOLUMES, by_object(own_key)),
            Source(PERSISTENTVOLUMECLAIMS, self._claim_changed),
            Source(NODES, self._node_changed),
        )

    def plan(self, key: str) -> Plan:
        volume = self._volumes.get("", key)
        if volume is None:
            return NOTHING
        node = claims.on_node(volume)
        facts = Facts(volume, self._claim(volume), not node or self._nodes.get("", node) is not None)
        return plan(facts, self._context.clock.now())

    def _claim(self, volume: Obj) -> Obj | None:
        said = volume["spec"].get("claimRef") or {}
        if not said.get("name"):
            return None
        found = self._claims.get(said.get("namespace", ""), said["name"])
        if found is not None and claims.belongs(volume, found):
            return found
        try:
            return self._context.api.get(PERSISTENTVOLUMECLAIMS, said.get("namespace", ""), said["name"])
        except NotFound:
            return None

    def _claim_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """The volume it has, and those that say that they are its."""
        found = {claim["spec"].get("volumeName") or "" for claim in (old, new) if claim}
        if new is None or old is None:
            about = new or old or {}
            found |= {meta.name(one) for one in self._volumes.list() if claims.names(one, about)}
        return found - {""}

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        if old is None or new is not None:
            return ()
        return [meta.name(one) for one in self._volumes.list() if claims.on_node(one) == meta.name(old)]


def plan(facts: Facts, now: datetime) -> Plan:
    volume = facts.volume
    if not meta.deleting(volume) and claims.VOLUME_PROTECTION not in meta.finalizers(volume):
        finalizers = [*meta.finalizers(volume), claims.VOLUME_PROTECTION]
        return Plan((patch(PERSISTENTVOLUMES, volume, {"metadata": {"finalizers": finalizers}}, swap=True),))
    if freed := _freed(facts):
        return Plan((patch(PERSISTENTVOLUMES, volume, freed, swap=True),))
    phase = _phase(facts)
    status, told = _reclaimed(facts, phase)
    actions = (*_status(volume, status, now), *told)
    return Plan((*actions, *_let_go(facts, str(status["phase"]))), said=str(status["phase"]))


def _phase(facts: Facts) -> str:
    volume, ref = facts.volume, facts.volume["spec"].get("claimRef")
    old = str((volume.get("status") or {}).get("phase") or "Pending")
    if not ref or not ref.get("uid"):
        return "Available"
    if facts.owner is None:
        return "Failed" if old == "Failed" else "Released"
    bound_to = facts.owner["spec"].get("volumeName") or ""
    if bound_to == meta.name(volume):
        return "Bound"
    return "Released" if bound_to else old


def _freed(facts: Facts) -> Obj:
    """What to change of a volume whose claim has taken another one; a volume that was made for the claim is
    of no use to anybody else."""
    volume, owner = facts.volume, facts.owner
    taken = owner["spec"].get("volumeName") if owner else ""
    notes = meta.annotations(volume)
    if not taken or taken == meta.name(volume) or claims.PROVISIONED_BY in notes:
        return {}
    if claims.BOUND_BY_CONTROLLER in notes:
        return {"spec": {"claimRef": None}, "metadata": {"annotations": {claims.BOUND_BY_CONTROLLER: None}}}
    return {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}


def _reclaimed(facts: Facts, phase: str) -> tuple[Obj, tuple[Action, ...]]:
    """The status of the volume, and what its policy says is to be done once nobody claims it."""
    volume, notes = facts.volume, meta.annotations(facts.volume)
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    if phase != "Released" or policy == "Retain" or meta.deleting(volume):
        kept = {key: value for key, value in (volume.get("status") or {}).items() if phase == "Failed"}
        return kept | {"phase": phase}, ()
    if claims.is_ours(volume):
        return {"phase": phase}, (delete(PERSISTENTVOLUMES, volume),)
    if policy == "Delete" and claims.PROVISIONED_BY in notes:
        return {"phase": phase}, ()  # whoever made it removes it
    if policy == "Recycle":
        reason, why = "VolumeFailedRecycle", "No recycler plugin found for the volume!"
    else:
        reason = "VolumeFailedDelete"
        why = f'error getting deleter volume plugin for volume "{meta.name(volume)}": '
        why += "no deletable volume plugin matched"
    return {"phase": "Failed", "message": why}, (Tell(volume, WARNING, reason, why),)


def _status(volume: Obj, wanted: Obj, now: datetime) -> tuple[Action, ...]:
    old = volume.get("status") or {}
    since = old.get("lastPhaseTransitionTime") if old.get("phase") == wanted["phase"] else None
    return patch_status(
        PERSISTENTVOLUMES, volume, wanted | {"lastPhaseTransitionTime": since or format_time(now)}
    )


def _let_go(facts: Facts, phase: str) -> tuple[Action, ...]:
    volume, finalizers = facts.volume, meta.finalizers(facts.volume)
    if not meta.deleting(volume) or phase == "Bound":
        return ()
    left = [one for one in finalizers if one != claims.VOLUME_PROTECTION]
    gone = left == [claims.OUR_FINALIZER] and not facts.has_node
    if gone:
        left = []
    if left == finalizers:
        return ()
    actions: tuple[Action, ...] = (
        patch(PERSISTENTVOLUMES, volume, {"metadata": {"finalizers": left or None}}, swap=True),
    )
    if gone:
        why = f"node {claims.on_node(volume)} is gone, and the volume with it"
        actions = (Tell(volume, NORMAL, "VolumeDelete", why), *actions)
    return actions
