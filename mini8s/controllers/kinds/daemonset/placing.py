"""Which nodes a DaemonSet's pods belong on, and the pod that belongs on one (`daemon_controller.go:
NodeShouldRunDaemonPod`).

The scheduler places these pods too, so that what they need is counted: an affinity by the node's name leaves
it one choice. They stay where others have to leave, and start where no other may.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from mini8s.controllers import history
from mini8s.controllers.template import pod_from
from mini8s.objects import meta, node_terms, pods, taints
from mini8s.objects.kinds import DAEMONSETS, Obj

_NODE = "node.kubernetes.io/"
_STAYS = tuple(
    {"key": f"{_NODE}{key}", "operator": "Exists", "effect": effect}
    for key, effect in (
        ("not-ready", taints.NO_EXECUTE),
        ("unreachable", taints.NO_EXECUTE),
        ("disk-pressure", taints.NO_SCHEDULE),
        ("memory-pressure", taints.NO_SCHEDULE),
        ("pid-pressure", taints.NO_SCHEDULE),
        ("unschedulable", taints.NO_SCHEDULE),
    )
)
_WITHOUT_NETWORK = {"key": f"{_NODE}network-unavailable", "operator": "Exists", "effect": taints.NO_SCHEDULE}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class Fit:
    """`starts`: a pod should be there; `stays`: one that is there may remain."""

    starts: bool
    stays: bool


def fit(owner: Obj, node: Obj) -> Fit:
    spec = owner["spec"]["template"]["spec"]
    if not _matches(spec, node):
        return Fit(False, False)
    tolerated = tolerations(spec)
    found = node["spec"].get("taints") or ()
    if taints.first_untolerated(found, tolerated, (taints.NO_EXECUTE,)):
        return Fit(False, False)
    return Fit(taints.first_untolerated(found, tolerated, (taints.NO_SCHEDULE,)) is None, True)


def tolerations(spec: Obj) -> list[Obj]:
    """The template's, and those of every DaemonSet."""
    said = list(spec.get("tolerations") or ())
    ours = (*_STAYS, _WITHOUT_NETWORK) if spec.get("hostNetwork") else _STAYS
    return [*said, *(dict(one) for one in ours if one not in said)]


def new_pod(owner: Obj, revision: Obj, node: str) -> Obj:
    pod = pod_from(owner["spec"]["template"], owner, DAEMONSETS)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["labels"] = {**metadata.get("labels", {}), history.HASH: hash_of(revision)}
    spec["tolerations"] = tolerations(spec)
    affinity = copy.deepcopy(spec.get("affinity") or {})
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    affinity["nodeAffinity"] = (affinity.get("nodeAffinity") or {}) | {
        _REQUIRED: {"nodeSelectorTerms": [term]}
    }
    spec["affinity"] = affinity
    return pod


def hash_of(revision: Obj) -> str:
    return meta.labels(revision).get(history.HASH) or meta.name(revision).rpartition("-")[2]


def target(pod: Obj) -> str:
    """The node that a pod is on or meant for; "" when that can't be said."""
    if name := pods.node_name(pod):
        return name
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(field["values"]) == 1:
                return str(field["values"][0])
    return ""


def _matches(spec: Obj, node: Obj) -> bool:
    name, labels = meta.name(node), meta.labels(node)
    if spec.get("nodeName") and spec["nodeName"] != name:
        return False
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    return not required or node_terms.matches(required, labels, name)
