"""Which ReplicaSet has which template, and the annotations that number them.

An undo is no event of its own: kubectl writes an old template back, the old ReplicaSet is found by it and
gets the next number, and its former one goes into its history.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from mini8s.controllers.kinds.deployment.view import View, by_age
from mini8s.controllers.template import plain, template_hash
from mini8s.objects import meta
from mini8s.objects.kinds import DEPLOYMENTS, REPLICASETS, Obj

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
HASH = "pod-template-hash"
HISTORY_CHARACTERS = 2000
_DIGITS = 19
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        HISTORY,
        DESIRED,
        MAXIMUM,
        "deprecated.deployment.rollback.to",
    }
)


def find_new(deployment: Obj, sets: Sequence[Obj]) -> Obj | None:
    """The oldest ReplicaSet that has the Deployment's template."""
    wanted = plain(deployment["spec"]["template"], HASH)
    return next((one for one in by_age(sets) if plain(one["spec"]["template"], HASH) == wanted), None)


def revision(obj: Obj) -> int:
    return number(meta.annotations(obj).get(REVISION, "")) or 0


def number(text: str) -> int | None:
    """What an annotation says; people can write anything there."""
    return int(text) if text.isdecimal() and len(text) < _DIGITS else None


def next_revision(old: Iterable[Obj]) -> int:
    return max(map(revision, old), default=0) + 1


def new_set(view: View, number: int) -> Obj:
    """The ReplicaSet for the Deployment's template, its size still to be decided."""
    deployment = view.obj
    template = copy.deepcopy(deployment["spec"]["template"])
    mark = template_hash(template, view.status.get("collisionCount"))
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH: mark}
    template["metadata"] = (template.get("metadata") or {}) | {"labels": labels}
    selector = copy.deepcopy(deployment["spec"]["selector"])
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | {HASH: mark}
    annotations = _copied(deployment, {}) | {REVISION: str(number)} | sizes(view)
    return {
        "apiVersion": REPLICASETS.api_version,
        "kind": REPLICASETS.kind,
        "metadata": {
            "namespace": meta.namespace(deployment),
            "name": f"{meta.name(deployment)}-{mark}",
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [meta.new_controller_ref(deployment, DEPLOYMENTS)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": deployment["spec"].get("minReadySeconds") or 0,
            "selector": selector,
            "template": template,
        },
    }


def sizes(view: View) -> dict[str, str]:
    """What a ReplicaSet is told of the Deployment's size, to tell scaling from rolling later."""
    return {DESIRED: str(view.replicas), MAXIMUM: str(view.replicas + view.max_surge)}


def renewal(view: View) -> Obj:
    """The merge patch that brings the new ReplicaSet's annotations and minReadySeconds up to date; empty when
    they are."""
    if view.new is None:
        return {}
    found = view.new.obj
    change: Obj = {}
    annotations = _copied(view.obj, meta.annotations(found)) | _renumbered(found, view)
    if annotations:
        change["metadata"] = {"annotations": annotations}
    seconds = view.obj["spec"].get("minReadySeconds") or 0
    if (found["spec"].get("minReadySeconds") or 0) != seconds:
        change["spec"] = {"minReadySeconds": seconds}
    return change


def _renumbered(found: Obj, view: View) -> dict[str, str]:
    number, before = next_revision(one.obj for one in view.old), revision(found)
    if before >= number:
        return {}
    if not before:
        return {REVISION: str(number)}
    history = [*filter(None, meta.annotations(found).get(HISTORY, "").split(",")), str(before)]
    while len(",".join(history)) > HISTORY_CHARACTERS:
        del history[0]
    return {REVISION: str(number), HISTORY: ",".join(history)}


def _copied(deployment: Obj, there: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in meta.annotations(deployment).items()
        if key not in _NOT_COPIED and there.get(key) != value
    }
