"""NodeAffinity: nodeSelector and the required and preferred terms of nodeAffinity.

Terms are alternatives, the expressions in one term must all hold; an empty term matches nothing
(Kubernetes documentation, "Assigning Pods to Nodes").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import NodeState, PodFacts

REASON = "node(s) didn't match Pod's node affinity/selector"


def node_affinity(pod: PodFacts, node: NodeState) -> Sequence[str]:
    if any(node.labels.get(key) != value for key, value in pod.node_selector.items()):
        return (REASON,)
    required = pod.node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_term(term, node) for term in required.get("nodeSelectorTerms") or ()):
        return (REASON,)
    return ()


def preferred_node_affinity(pod: PodFacts, nodes: Sequence[NodeState]) -> Sequence[float]:
    wishes = pod.node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    weighed = [(int(wish["weight"]), wish.get("preference") or {}) for wish in wishes]
    sums = [sum(weight for weight, term in weighed if _term(term, node)) for node in nodes]
    most = max(sums, default=0)
    return [100.0 * total / most if most else 0.0 for total in sums]


def _term(term: Obj, node: NodeState) -> bool:
    labels, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not labels and not fields:
        return False
    by_label = all(_holds(item, node.labels) for item in labels)
    return by_label and all(_holds(item, {"metadata.name": node.name}) for item in fields)


def _holds(expression: Obj, facts: Mapping[str, str]) -> bool:
    value, wanted = facts.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compare(value, wanted, greater=operator == "Gt")
    return False


def _compare(value: str | None, wanted: Sequence[str], *, greater: bool) -> bool:
    try:
        here, there = int(value or ""), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return here > there if greater else here < there
