"""PersistentVolumeClaims find their volumes: one that is there and fits, or one that is made for them.

Upstream's `syncClaim` (`pkg/controller/volume/persistentvolume/pv_controller.go`). A binding is two writes,
the volume's first: whoever dies in between, the volume says whose it is, and the claim finds it again. Both
are compare-and-swap. A claim that is deleted is held until no pod uses it (`pvc_protection_controller.go`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mini8s.controllers.actions import (
    NORMAL,
    NOTHING,
    WARNING,
    Action,
    Plan,
    Tell,
    patch,
    patch_status,
)
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.controllers.kinds.volumes.provision import Wish, provision
from mini8s.objects import claims, meta, pods
from mini8s.objects.kinds import (
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    STORAGECLASSES,
    Obj,
)

LOOK_AGAIN_SECONDS = 15.0  # upstream's resync: events tell those who come later, too


@dataclass(frozen=True, slots=True)
class Facts:
    """`users` are the pods that name the claim; `node` is the one selected for it, if it is there."""

    claim: Obj
    volumes: Sequence[Obj]
    classes: Sequence[Obj] = ()
    users: Sequence[Obj] = ()
    node: Obj | None = None

    @property
    def storage_class(self) -> Obj | None:
        name = claims.class_name(self.claim)
        return next((one for one in self.classes if meta.name(one) == name), None)


class ClaimBinder:
    name = "persistentvolume-binder"

    def __init__(self, context: Context) -> None:
        self._claims = context.cache(PERSISTENTVOLUMECLAIMS)
        self._volumes = context.cache(PERSISTENTVOLUMES)
        self._classes = context.cache(STORAGECLASSES)
        self._pods = context.cache(PODS, {"claim": claim_keys})
        self._nodes = context.cache(NODES)
        self.sources = (
            Source(PERSISTENTVOLUMECLAIMS, by_object(own_key)),
            Source(PERSISTENTVOLUMES, self._volume_changed),
            Source(STORAGECLASSES, self._class_changed),
            Source(PODS, _pod_changed),
        )

    def plan(self, key: str) -> Plan:
        claim = self._claims.get(*meta.split_key(key))
        if claim is None:
            return NOTHING
        selected = meta.annotations(claim).get(claims.SELECTED_NODE, "")
        facts = Facts(
            claim,
            self._volumes.list(),
            self._classes.list(),
            self._pods.index("claim", key),
            self._nodes.get("", selected),
        )
        return plan(facts)

    def _volume_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Its claim; and of one that became free, all that wait."""
        keys = {_claim_key(volume) for volume in (old, new) if volume} - {""}
        if new and not new["spec"].get("claimRef"):
            keys |= set(self._waiting())
        return keys

    def _class_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:  # noqa: ARG002
        return self._waiting() if new else ()

    def _waiting(self) -> Iterable[str]:
        return [meta.key(claim) for claim in self._claims.list() if not claims.is_bound(claim)]


def claim_keys(pod: Obj) -> Iterable[str]:
    return [f"{meta.namespace(pod)}/{name}" for name, _ in claims.of_pod(pod)]


def plan(facts: Facts) -> Plan:
    claim = facts.claim
    if meta.deleting(claim):
        return Plan(_let_go(facts))
    if claims.CLAIM_PROTECTION not in meta.finalizers(claim):
        finalizers = [*meta.finalizers(claim), claims.CLAIM_PROTECTION]
        return Plan(
            (patch(PERSISTENTVOLUMECLAIMS, claim, {"metadata": {"finalizers": finalizers}}, swap=True),)
        )
    if claims.is_bound(claim):
        return Plan(_bound(facts), said="bound")
    actions = _unbound(facts)
    again = LOOK_AGAIN_SECONDS if any(isinstance(one, Tell) for one in actions) else None
    return Plan(actions, again)


def _let_go(facts: Facts) -> tuple[Action, ...]:
    """No pod that has a node uses it any more."""
    finalizers = meta.finalizers(facts.claim)
    if claims.CLAIM_PROTECTION not in finalizers or any(map(pods.node_name, facts.users)):
        return ()
    left = [one for one in finalizers if one != claims.CLAIM_PROTECTION]
    return (
        patch(PERSISTENTVOLUMECLAIMS, facts.claim, {"metadata": {"finalizers": left or None}}, swap=True),
    )


def _unbound(facts: Facts) -> tuple[Action, ...]:
    claim = facts.claim
    if claim["spec"].get("volumeName"):
        return _wanted_volume(facts)
    waits = claims.waits(facts.storage_class)
    volume = claims.best_match(claim, facts.volumes, delayed=waits)
    if volume is not None:
        return _bind(claim, volume)
    pending = patch_status(PERSISTENTVOLUMECLAIMS, claim, {"phase": "Pending"})
    if waits and claims.SELECTED_NODE not in meta.annotations(claim):
        return (*pending, _waits(facts))
    if claims.class_name(claim):
        return (*pending, *provision(Wish(claim, facts.storage_class, facts.node)))
    if claim["spec"].get("storageClassName") is None and (default := claims.default_class(facts.classes)):
        change = {"spec": {"storageClassName": default}}
        return (patch(PERSISTENTVOLUMECLAIMS, claim, change, swap=True),)
    why = "no persistent volumes available for this claim and no storage class is set"
    return (*pending, Tell(claim, NORMAL, "FailedBinding", why))


def _waits(facts: Facts) -> Tell:
    unplaced = [pod for pod in facts.users if not pods.node_name(pod) and not pods.is_terminal(pod)]
    if unplaced:
        names = ",".join(sorted(map(meta.name, unplaced)))
        return Tell(facts.claim, NORMAL, "WaitForPodScheduled", f"waiting for pod {names} to be scheduled")
    why = "waiting for first consumer to be created before binding"
    return Tell(facts.claim, NORMAL, "WaitForFirstConsumer", why)


def _wanted_volume(facts: Facts) -> tuple[Action, ...]:
    """The claim names its volume."""
    claim, name = facts.claim, facts.claim["spec"]["volumeName"]
    pending = patch_status(PERSISTENTVOLUMECLAIMS, claim, {"phase": "Pending"})
    volume = _named(facts.volumes, name)
    if volume is None:
        return pending
    if volume["spec"].get("claimRef") and not claims.is_reserved(volume, claim):
        why = f'volume "{name}" already bound to a different claim.'
        return (*pending, Tell(claim, WARNING, "FailedBinding", why))
    mismatch = claims.mismatch(volume, claim)
    if mismatch:
        why = f'Cannot bind to requested volume "{name}": {mismatch}'
        return (*pending, Tell(claim, WARNING, "VolumeMismatch", why))
    return _bind(claim, volume)


def _bind(claim: Obj, volume: Obj) -> tuple[Action, ...]:
    actions: list[Action] = []
    if not claims.belongs(volume, claim):
        change: Obj = {"spec": {"claimRef": claims.reference(claim)}}
        if not volume["spec"].get("claimRef"):
            change["metadata"] = {"annotations": {claims.BOUND_BY_CONTROLLER: "yes"}}
        actions.append(patch(PERSISTENTVOLUMES, volume, change, swap=True))
    notes = {claims.BIND_COMPLETED: "yes"}
    if not claim["spec"].get("volumeName"):
        notes[claims.BOUND_BY_CONTROLLER] = "yes"
    change = {"spec": {"volumeName": meta.name(volume)}, "metadata": {"annotations": notes}}
    actions.append(patch(PERSISTENTVOLUMECLAIMS, claim, change, swap=True))
    return tuple(actions)  # the status follows once the claim is seen to be bound


def _bound(facts: Facts) -> tuple[Action, ...]:
    claim = facts.claim
    name = claim["spec"].get("volumeName") or ""
    volume = _named(facts.volumes, name)
    if not name:
        why = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return _lost(claim, "ClaimLost", why)
    if volume is None:
        return _lost(
            claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        )
    if not volume["spec"].get("claimRef"):
        change = {"spec": {"claimRef": claims.reference(claim)}}
        return (patch(PERSISTENTVOLUMES, volume, change, swap=True),)
    if not claims.belongs(volume, claim):
        why = "Two claims are bound to the same volume, this one is bound incorrectly"
        return _lost(claim, "ClaimMisbound", why)
    return (*_status(claim, volume), *_grow(facts, volume))


def _lost(claim: Obj, reason: str, why: str) -> tuple[Action, ...]:
    lost = patch_status(PERSISTENTVOLUMECLAIMS, claim, {"phase": "Lost"})
    return (*lost, Tell(claim, WARNING, reason, why)) if lost else ()


def _status(claim: Obj, volume: Obj) -> tuple[Action, ...]:
    old = claim.get("status") or {}
    capacity = volume["spec"].get("capacity") or {}
    made = meta.annotations(volume).get(claims.SIZE_MADE)
    if made and int(made) < claims.capacity(volume) and old.get("capacity"):
        capacity = old["capacity"]  # it grows, but has not grown yet
    said = {"phase": "Bound", "accessModes": volume["spec"].get("accessModes") or [], "capacity": capacity}
    return patch_status(PERSISTENTVOLUMECLAIMS, claim, {**old, **said})


def _grow(facts: Facts, volume: Obj) -> tuple[Action, ...]:
    """A volume of a node's disk is made bigger by its node, once it says that it is to be."""
    claim = facts.claim
    if claims.requested(claim) <= claims.capacity(volume):
        return ()
    if not claims.is_ours(volume):
        why = "waiting for an external controller to expand this PVC"
        return (Tell(claim, NORMAL, "ExternalExpanding", why),)
    wanted = {"storage": claim["spec"]["resources"]["requests"]["storage"]}
    return (patch(PERSISTENTVOLUMES, volume, {"spec": {"capacity": wanted}}, swap=True),)


def _named(volumes: Iterable[Obj], name: str) -> Obj | None:
    return next((volume for volume in volumes if meta.name(volume) == name), None)


def _claim_key(volume: Obj) -> str:
    said = volume["spec"].get("claimRef") or {}
    return f"{said.get('namespace', '')}/{said['name']}" if said.get("name") else ""


def _pod_changed(old: Obj | None, new: Obj | None) -> Iterable[str]:
    """Only what makes it a user of claims, or ends that."""
    if old and new and pods.node_name(old) == pods.node_name(new):
        return ()
    return {key for pod in (old, new) if pod for key in claim_keys(pod)}
