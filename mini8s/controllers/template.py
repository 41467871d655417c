"""A pod from a template, as every controller of pods makes it."""

from __future__ import annotations

import copy

from mini8s.objects import meta
from mini8s.objects.kinds import PODS, Kind, Obj


def pod_from(template: Obj, owner: Obj, kind: Kind) -> Obj:
    """The pod that `owner`, of `kind`, creates: its labels, annotations and finalizers are the template's."""
    said = template.get("metadata") or {}
    metadata: Obj = {
        "generateName": f"{meta.name(owner)}-",
        "namespace": meta.namespace(owner),
        "ownerReferences": [meta.new_controller_ref(owner, kind)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if said.get(field):
            metadata[field] = copy.deepcopy(said[field])
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": metadata,
        "spec": copy.deepcopy(template["spec"]),
    }
