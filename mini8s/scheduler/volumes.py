"""PURE: what a pod's claims mean for where it can go, and what is to be written once it is known.

Upstream's `pkg/scheduler/framework/plugins/volumebinding`: claims that are bound tie the pod to the nodes
that reach their volumes; claims that wait for their pod are bound, or told for which node a volume is to be
made, once a node is chosen. The claims' own controller does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mini8s.objects import claims, meta, node_terms
from mini8s.objects.kinds import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, Kind, Obj
from mini8s.scheduler.base import ClaimFacts, NodeState, PodFacts

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


@dataclass(frozen=True, slots=True)
class Storage:
    """The cluster's storage as the informers show it."""

    claim: Callable[[str, str], Obj | None]  # namespace, name
    volume: Callable[[str], Obj | None]
    volumes: Callable[[], Sequence[Obj]]
    storage_class: Callable[[str], Obj | None]


@dataclass(frozen=True, slots=True)
class Write:
    """A merge patch, for the object as it was seen."""

    kind: Kind
    obj: Obj
    patch: Obj


def claim_facts(pod: PodFacts, storage: Storage) -> Sequence[ClaimFacts]:
    return [_facts(pod, name, mine, storage) for name, mine in pod.claim_names]


def all_bound(found: Iterable[ClaimFacts]) -> bool:
    return all(one.volume is not None for one in found)


def writes(pod: PodFacts, node: NodeState) -> Sequence[Write]:
    """What binds the pod's claims to volumes on this node, for those that are not bound."""
    found: list[Write] = []
    taken: list[str] = []
    for one in pod.claims:
        if one.volume is not None:
            continue
        match = candidate(one, node, taken)
        if match is None:
            notes = {claims.SELECTED_NODE: node.name}
            if meta.annotations(one.claim).get(claims.SELECTED_NODE) != node.name:
                found.append(Write(PERSISTENTVOLUMECLAIMS, one.claim, {"metadata": {"annotations": notes}}))
            continue
        taken.append(meta.name(match))
        if not claims.belongs(match, one.claim):
            change: Obj = {"spec": {"claimRef": claims.reference(one.claim)}}
            if not match["spec"].get("claimRef"):
                change["metadata"] = {"annotations": {claims.BOUND_BY_CONTROLLER: "yes"}}
            found.append(Write(PERSISTENTVOLUMES, match, change))
    return found


def candidate(found: ClaimFacts, node: NodeState, taken: Iterable[str] = ()) -> Obj | None:
    """The volume that is there already and will do on this node."""
    seen = {"metadata": {"name": node.name, "labels": dict(node.labels)}}
    return claims.best_match(found.claim, found.candidates, node=seen, taken=taken)


def _facts(pod: PodFacts, name: str, mine: bool, storage: Storage) -> ClaimFacts:
    claim = storage.claim(pod.namespace, name)
    if claim is None:
        if mine:
            why = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            return ClaimFacts({}, why)
        return ClaimFacts({}, f'persistentvolumeclaim "{name}" not found')
    if (refusal := _refusal(pod, claim, mine)) or claims.is_bound(claim):
        return ClaimFacts(claim, refusal, None if refusal else _volume(claim, storage), lost=not refusal)
    return _unbound(claim, storage)


def _refusal(pod: PodFacts, claim: Obj, mine: bool) -> str:
    name = meta.name(claim)
    if mine and (meta.controller_ref(claim) or {}).get("uid") != pod.uid:
        return f"PVC {meta.key(claim)} was not created for pod {pod.key} (pod is not owner)"
    if meta.deleting(claim):
        return f'persistentvolumeclaim "{name}" is being deleted'
    if (claim.get("status") or {}).get("phase") == "Lost":
        lost = claim["spec"].get("volumeName") or ""
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"'
    return ""


def _volume(claim: Obj, storage: Storage) -> Obj | None:
    return storage.volume(claim["spec"].get("volumeName") or "")


def _unbound(claim: Obj, storage: Storage) -> ClaimFacts:
    found = storage.storage_class(claims.class_name(claim))
    if not claims.waits(found) or claim["spec"].get("volumeName"):
        return ClaimFacts(claim, UNBOUND)
    made_on = (
        None if (found or {}).get("provisioner") == claims.NO_PROVISIONER else _made_on(claim, found or {})
    )
    return ClaimFacts(claim, candidates=storage.volumes(), made_on=made_on)


def _made_on(claim: Obj, found: Obj) -> Callable[[Mapping[str, str], str], bool]:
    """A node that was chosen before stays chosen; a class may say where its volumes are."""
    chosen = meta.annotations(claim).get(claims.SELECTED_NODE)
    topologies = [
        {"matchExpressions": [one | {"operator": "In"} for one in term.get("matchLabelExpressions") or ()]}
        for term in found.get("allowedTopologies") or ()
    ]

    def judge(labels: Mapping[str, str], name: str) -> bool:
        if chosen and chosen != name:
            return False
        return not topologies or any(node_terms.term_matches(term, labels, name) for term in topologies)

    return judge
