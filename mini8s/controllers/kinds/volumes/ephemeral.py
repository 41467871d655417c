"""Generic ephemeral volumes: a claim for each, made from the pod's own template, that goes with the pod.

Upstream's `pkg/controller/volume/ephemeral/controller.go`. A claim of that name that somebody else made is
never taken for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mini8s.controllers.actions import NOTHING, WARNING, Action, Create, Plan, Tell
from mini8s.controllers.base import Context, Source, controller_key
from mini8s.objects import claims, meta, pods
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PODS, Obj


@dataclass(frozen=True, slots=True)
class Facts:
    """`claims` by name: those there are of the names that the pod's volumes make."""

    pod: Obj
    claims: Mapping[str, Obj]


class EphemeralVolumes:
    name = "ephemeral-volume"

    def __init__(self, context: Context) -> None:
        self._pods = context.cache(PODS)
        self._claims = context.cache(PERSISTENTVOLUMECLAIMS)
        self.sources = (
            Source(PODS, _pod_changed),
            Source(PERSISTENTVOLUMECLAIMS, _claim_gone),
        )

    def plan(self, key: str) -> Plan:
        pod = self._pods.get(*meta.split_key(key))
        if pod is None or meta.deleting(pod) or pods.is_terminal(pod):
            return NOTHING
        names = [name for name, made_for_it in claims.of_pod(pod) if made_for_it]
        found = {name: self._claims.get(meta.namespace(pod), name) for name in names}
        return plan(Facts(pod, {name: claim for name, claim in found.items() if claim}))


def plan(facts: Facts) -> Plan:
    actions: list[Action] = []
    for volume in facts.pod["spec"].get("volumes") or ():
        if "ephemeral" not in volume:
            continue
        name = claims.ephemeral_name(facts.pod, volume["name"])
        claim = facts.claims.get(name)
        if claim is None:
            actions.append(Create(PERSISTENTVOLUMECLAIMS, _claim(facts.pod, volume, name)))
        elif not claims.is_made_for(claim, facts.pod):
            key = meta.key(facts.pod)
            why = f"PVC {meta.key(claim)} was not created for pod {key} (pod is not owner)"
            actions.append(Tell(facts.pod, WARNING, "EphemeralVolumeConflict", why))
    return Plan(tuple(actions))


def _claim(pod: Obj, volume: Obj, name: str) -> Obj:
    template = volume["ephemeral"]["volumeClaimTemplate"]
    said = template.get("metadata") or {}
    metadata: Obj = {
        "name": name,
        "namespace": meta.namespace(pod),
        "ownerReferences": [meta.new_controller_ref(pod, PODS)],
    }
    for part in ("labels", "annotations"):
        if said.get(part):
            metadata[part] = dict(said[part])
    return {
        "apiVersion": PERSISTENTVOLUMECLAIMS.api_version,
        "kind": PERSISTENTVOLUMECLAIMS.kind,
        "metadata": metadata,
        "spec": copy.deepcopy(template["spec"]),
    }


def _pod_changed(old: Obj | None, new: Obj | None) -> Iterable[str]:
    if new is None or old is not None:
        return ()
    return (meta.key(new),) if any(made_for_it for _, made_for_it in claims.of_pod(new)) else ()


def _claim_gone(old: Obj | None, new: Obj | None) -> Iterable[str]:
    """A pod whose claim was deleted under it gets another; one whose name was taken may get it now."""
    return controller_key(PODS)(old) if old is not None and new is None else ()
