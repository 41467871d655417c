"""Who is where, kept true pod by pod and node by node, with a log of what moved for those who keep results.

One thread's: the scheduler's cycle. Pods of nodes that are not there yet are kept, and count once they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mini8s.scheduler.base import NodeState, PodFacts
from mini8s.scheduler.terms import NamespaceLabels

KEPT_MOVES = 20_000  # who is further behind looks at everything anew


@dataclass(frozen=True, slots=True)
class Move:
    """Something changed on a node: a pod came (sign 1) or went (-1); without a pod, the node itself.
    `anew` says that it is not the node that it was, or that it came or went."""

    node: str
    pod: PodFacts | None = None
    sign: int = 0
    anew: bool = False


class Board:
    """A `Picture` (see base) that changes."""

    def __init__(self, labels_of: NamespaceLabels | None = None) -> None:
        self.nodes: dict[str, NodeState] = {}
        self.minding = 0
        self.at = 0  # how many moves there have been
        self._labels_of = labels_of
        self._pods: dict[str, PodFacts] = {}  # placed, by uid
        self._on: dict[str, dict[str, PodFacts]] = {}  # by node and uid
        self._minding_on: dict[str, dict[str, PodFacts]] = {}
        self._nominations: dict[str, str] = {}  # nodes, by uid of the pod
        self._nominated: dict[str, dict[str, PodFacts]] = {}  # pods that room is being made for, by node
        self._moves: deque[Move] = deque(maxlen=KEPT_MOVES)

    def on(self, node: str) -> Iterable[PodFacts]:
        return self._on.get(node, {}).values()

    def minding_on(self, node: str) -> Iterable[PodFacts]:
        return self._minding_on.get(node, {}).values()

    def labels_of(self, namespace: str) -> Mapping[str, str]:
        return self._labels_of(namespace) if self._labels_of else {}

    def find(self, uid: str) -> PodFacts | None:
        return self._pods.get(uid)

    def since(self, at: int) -> list[Move] | None:
        """What moved since there had been `at` moves; None when that is no longer known."""
        missed = self.at - at
        if missed > len(self._moves):
            return None
        return [self._moves[index] for index in range(len(self._moves) - missed, len(self._moves))]

    def put_node(self, node: NodeState) -> bool:
        """A node as it is, with nothing on it; whether that says anything new."""
        before = self.nodes.get(node.name)
        if before is not None and before.bare() == node:
            return False
        self.nodes[node.name] = node.with_pods(self.on(node.name))
        self._moved(Move(node.name, anew=before is None or _place(before) != _place(node)))
        return True

    def drop_node(self, name: str) -> None:
        if self.nodes.pop(name, None) is not None:
            self._moved(Move(name, anew=True))

    def put(self, pod: PodFacts) -> bool:
        """The pod is on its node, whatever was known of it; whether that says anything new."""
        before = self._pods.get(pod.uid)
        if before is not None:
            if _counts(before) == _counts(pod):
                return False
            self.drop(pod.uid)
        node = pod.node_name
        self._pods[pod.uid] = pod
        self._on.setdefault(node, {})[pod.uid] = pod
        if pod.affine:
            self.minding += 1
            self._minding_on.setdefault(node, {})[pod.uid] = pod
        if node in self.nodes:
            self.nodes[node] = self.nodes[node].with_pod(pod)
        self._moved(Move(node, pod, 1))
        return True

    def drop(self, uid: str) -> PodFacts | None:
        """The pod is not there any more; what it was, if it was there."""
        pod = self._pods.pop(uid, None)
        if pod is None:
            return None
        node = pod.node_name
        self._on[node].pop(uid)
        if pod.affine:
            self.minding -= 1
            self._minding_on[node].pop(uid)
        if not self._on[node]:
            del self._on[node]
        if node in self.nodes:
            self.nodes[node] = self.nodes[node].without_pod(pod, self.on(node))
        self._moved(Move(node, pod, -1))
        return pod

    def nominate(self, pod: PodFacts, node: str) -> None:
        """Room is being made for the pod there. A node of "" for none."""
        if self._nominations.get(pod.uid, "") == node:
            return
        self.nominate_none(pod.uid)
        if node:
            self._nominations[pod.uid] = node
            self._nominated.setdefault(node, {})[pod.uid] = pod
            self._moved(Move(node))

    def nominate_none(self, uid: str) -> None:
        if node := self._nominations.pop(uid, ""):
            del self._nominated[node][uid]
            self._moved(Move(node))

    def nominated_on(self, node: str, priority: int) -> Iterable[PodFacts]:
        """The pods of at least this priority that room is being made for there."""
        there = self._nominated.get(node)
        return [pod for pod in there.values() if pod.priority >= priority] if there else ()

    def _moved(self, move: Move) -> None:
        self.at += 1
        self._moves.append(move)


def _place(node: NodeState) -> tuple[object, ...]:
    return node.labels, node.taints, node.unschedulable


def _counts(pod: PodFacts) -> tuple[object, ...]:
    """What of a placed pod others may mind."""
    return pod.node_name, pod.requests, pod.labels, pod.deleting, pod.host_ports, pod.owner, pod.claim_names
