"""From API objects to the scheduler's facts: parsed here once, tolerantly, and never asked about again."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.objects import claims, meta, pods, quantity
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import HostPort, NodeState, Picture, PodFacts, Resources
from mini8s.scheduler.terms import NamespaceLabels, constraints, rules

_APART = frozenset({"cpu", "memory", "pods"})  # resources with a field of their own


def pod_facts(pod: Obj) -> PodFacts:
    spec = pod.get("spec") or {}
    cpu, memory = pods.requests(spec)
    others = {name: pods.needed(spec, "requests", name) for name in _requested(spec) - _APART}
    owner = meta.controller_ref(pod) or {}
    return PodFacts(
        namespace=meta.namespace(pod),
        name=meta.name(pod),
        uid=meta.uid(pod),
        requests=Resources(cpu, memory, 1, others),
        node_name=pods.node_name(pod),
        owner=owner.get("uid", ""),
        priority=spec.get("priority") or 0,
        node_selector=spec.get("nodeSelector") or {},
        node_affinity=(spec.get("affinity") or {}).get("nodeAffinity") or {},
        tolerations=spec.get("tolerations") or (),
        host_ports=frozenset(_host_ports(spec)),
        scheduler=spec.get("schedulerName") or "default-scheduler",
        claim_names=tuple(claims.of_pod(pod)) if spec.get("volumes") else (),
        labels=meta.labels(pod),
        deleting=meta.deleting(pod),
        spread=constraints(pod) if spec.get("topologySpreadConstraints") else (),
        attracted=rules(pod, "podAffinity"),
        repelled=rules(pod, "podAntiAffinity"),
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
    )


class Snapshot:
    """All nodes with all that counts against them at one moment; `place` is the only change it knows."""

    def __init__(
        self, nodes: Iterable[Obj], placed: Iterable[PodFacts], namespaces: NamespaceLabels | None = None
    ) -> None:
        self.picture = Picture(namespaces) if namespaces else Picture()
        self._nodes = {state.name: state for state in map(node_state, nodes)}
        for pod in placed:
            self.place(pod, pod.node_name)

    def nodes(self) -> Iterable[NodeState]:
        return self._nodes.values()

    def node(self, name: str) -> NodeState:
        return self._nodes[name]

    def find(self, name: str) -> NodeState | None:
        return self._nodes.get(name)

    def place(self, pod: PodFacts, node: str) -> None:
        """Count the pod against the node; a node that is gone counts nothing."""
        if node in self._nodes:
            self._nodes[node] = self._nodes[node].with_pod(pod)
            self.picture.add(pod, node)


def _requested(spec: Obj) -> set[str]:
    every = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    stated = [(item.get("resources") or {}).get("requests") or {} for item in every]
    return {name for amounts in (*stated, spec.get("overhead") or {}) for name in amounts}


def _host_ports(spec: Obj) -> Iterable[HostPort]:
    """Of all that runs side by side: an init container that ends gives its ports back before they are
    needed."""
    sidecars = filter(pods.is_sidecar, spec.get("initContainers") or ())
    for container in (*(spec.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or ""
                yield ("" if address == "0.0.0.0" else address, port.get("protocol", "TCP"), port["hostPort"])
