"""From API objects to the scheduler's facts: parsed here once, tolerantly, and never asked about again."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.objects import claims, meta, pods, quantity
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import HostPort, NodeState, PodFacts, Resources


def pod_facts(pod: Obj) -> PodFacts:
    spec = pod.get("spec") or {}
    cpu, memory = pods.requests(spec)
    owner = meta.controller_ref(pod) or {}
    return PodFacts(
        namespace=meta.namespace(pod),
        name=meta.name(pod),
        uid=meta.uid(pod),
        requests=Resources(cpu, memory, 1),
        node_name=pods.node_name(pod),
        owner=owner.get("uid", ""),
        priority=spec.get("priority") or 0,
        node_selector=spec.get("nodeSelector") or {},
        node_affinity=(spec.get("affinity") or {}).get("nodeAffinity") or {},
        tolerations=spec.get("tolerations") or (),
        host_ports=frozenset(_host_ports(spec)),
        scheduler=spec.get("schedulerName") or "default-scheduler",
        claim_names=tuple(claims.of_pod(pod)) if spec.get("volumes") else (),
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
        ),
    )


class Snapshot:
    """All nodes with all that counts against them at one moment; `place` is the only change it knows."""

    def __init__(self, nodes: Iterable[Obj], placed: Iterable[PodFacts]) -> None:
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


def _host_ports(spec: Obj) -> Iterable[HostPort]:
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or ""
                yield ("" if address == "0.0.0.0" else address, port.get("protocol", "TCP"), port["hostPort"])
