"""From API objects to the scheduler's facts: parsed here once, tolerantly, and never asked about again."""

from __future__ import annotations

from mini8s.client.sharing import Recent
from mini8s.objects import claims, meta, pods, quantity
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import NodeState, PodFacts, Resources
from mini8s.scheduler.terms import constraints, rules

_TOLD = (
    "nodeName", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "priority",
    "overhead", "resources", "hostNetwork", "schedulerName", "preemptionPolicy",
)  # fmt: skip
_APART = frozenset({"cpu", "memory", "pods"})  # resources with a field of their own
_SHAPES: Recent[str] = Recent(256)  # one for thousands of pods


def pod_facts(pod: Obj) -> PodFacts:
    spec = pod.get("spec") or {}
    cpu, memory = pods.requests(spec)
    others = {name: pods.needed(spec, "requests", name) for name in _requested(spec) - _APART}
    owner = meta.controller_ref(pod) or {}
    bound = pods.node_name(pod)
    return PodFacts(
        namespace=meta.namespace(pod),
        name=meta.name(pod),
        uid=meta.uid(pod),
        requests=Resources(cpu, memory, 1, others),
        node_name=bound,
        owner=owner.get("uid", ""),
        priority=spec.get("priority") or 0,
        started=(pod.get("status") or {}).get("startTime") or pod["metadata"].get("creationTimestamp", ""),
        preempts=spec.get("preemptionPolicy") != "Never",
        nominated=(pod.get("status") or {}).get("nominatedNodeName") or "",
        images=tuple(sorted({item["image"] for item in spec.get("containers") or () if item.get("image")})),
        node_selector=spec.get("nodeSelector") or {},
        node_affinity=(spec.get("affinity") or {}).get("nodeAffinity") or {},
        tolerations=spec.get("tolerations") or (),
        host_ports=frozenset(pods.host_ports(spec)),
        scheduler=spec.get("schedulerName") or "default-scheduler",
        claim_names=tuple(claims.of_pod(pod)) if spec.get("volumes") else (),
        labels=meta.labels(pod),
        deleting=meta.deleting(pod),
        spread=constraints(pod) if spec.get("topologySpreadConstraints") else (),
        attracted=rules(pod, "podAffinity"),
        repelled=rules(pod, "podAntiAffinity"),
        shape="" if bound else _shape(pod, spec, owner.get("uid", "")),
    )


def node_state(node: Obj) -> NodeState:
    """The node with nothing on it yet."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    room = status.get("allocatable") or status.get("capacity") or {}
    return NodeState(
        name=meta.name(node),
        labels=meta.labels(node),
        taints=spec.get("taints") or (),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable=Resources(
            quantity.milli(room.get("cpu", 0)),
            quantity.value(room.get("memory", 0)),
            quantity.value(room.get("pods", 0)),
            {name: quantity.value(amount) for name, amount in room.items() if name not in _APART},
        ),
        images={
            name: image.get("sizeBytes") or 0
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        },
    )


def _shape(pod: Obj, spec: Obj, owner: str) -> str:
    """All that filters and scores of a node read of a pod, as one text: what the API stored is in one order
    for pods of one template. Of its labels only surveys know (see decide)."""
    each = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    asked = [[one.get(name) for name in ("image", "resources", "ports", "restartPolicy")] for one in each]
    told = [spec.get(name) for name in _TOLD]
    shape = repr((meta.namespace(pod), owner, asked, told))
    return str(_SHAPES.same(shape, shape))


def _requested(spec: Obj) -> set[str]:
    every = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    stated = [(item.get("resources") or {}).get("requests") or {} for item in every]
    return {name for amounts in (*stated, spec.get("overhead") or {}) for name in amounts}
