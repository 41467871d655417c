"""What the scheduler decides on: nodes and pods as facts, parsed once, and the plugins' three contracts.

Everything here is immutable. A `NodeState` with one more pod is a new `NodeState`, so that a decision can be
tried, taken back and tested without a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mini8s.objects.kinds import Obj
from mini8s.scheduler.terms import NO_RULES, Constraint, NamespaceLabels, PodRules


@dataclass(frozen=True, slots=True)
class Resources:
    """cpu in millicores, memory in bytes, pods as a count; all else by its name."""

    cpu: int = 0
    memory: int = 0
    pods: int = 0
    others: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Resources) -> Resources:
        others = self.others
        if other.others:
            names = self.others.keys() | other.others.keys()
            others = {name: self.others.get(name, 0) + other.others.get(name, 0) for name in names}
        return Resources(self.cpu + other.cpu, self.memory + other.memory, self.pods + other.pods, others)


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """A claim that a pod uses. `refusal` says why no node will do yet. A bound claim has its `volume`; one
    that waits for its pod has `candidates`, and `made_on` says of a node (labels, name) whether a volume can
    be made for it there: None when it can nowhere."""

    claim: Obj
    refusal: str = ""
    volume: Obj | None = None
    candidates: Sequence[Obj] = ()
    made_on: Callable[[Mapping[str, str], str], bool] | None = None
    lost: bool = False  # its volume is not there


HostPort = tuple[str, str, int]  # address ("" for all), protocol, port


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What of a pod matters for where it goes. `owner` is the uid of its controller, "" for none."""

    namespace: str
    name: str
    uid: str
    requests: Resources
    node_name: str = ""
    owner: str = ""
    priority: int = 0
    node_selector: Mapping[str, str] = field(default_factory=dict)
    node_affinity: Obj = field(default_factory=dict)  # spec.affinity.nodeAffinity
    tolerations: Sequence[Obj] = ()
    host_ports: frozenset[HostPort] = frozenset()
    scheduler: str = "default-scheduler"
    claim_names: Sequence[tuple[str, bool]] = ()  # and whether each is made for this pod
    claims: Sequence[ClaimFacts] = ()  # known only while the pod is being placed
    labels: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    spread: tuple[Constraint, ...] = ()
    attracted: PodRules = NO_RULES  # spec.affinity.podAffinity
    repelled: PodRules = NO_RULES  # spec.affinity.podAntiAffinity

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def affine(self) -> bool:
        """Whether it says anything of other pods than that they be spread."""
        return bool(self.attracted or self.repelled)


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node and what already counts against it. `owners` counts its pods by the controller they belong
    to."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Obj] = ()
    unschedulable: bool = False
    allocatable: Resources = Resources()
    requested: Resources = Resources()
    host_ports: frozenset[HostPort] = frozenset()
    owners: Mapping[str, int] = field(default_factory=dict)
    claims: frozenset[str] = frozenset()  # the keys of those that its pods use

    def with_pod(self, pod: PodFacts) -> NodeState:
        """This node after the pod was placed on it."""
        owners = dict(self.owners)
        if pod.owner:
            owners[pod.owner] = owners.get(pod.owner, 0) + 1
        return NodeState(
            self.name,
            self.labels,
            self.taints,
            self.unschedulable,
            self.allocatable,
            self.requested + pod.requests,
            self.host_ports | pod.host_ports,
            owners,
            self.claims.union(f"{pod.namespace}/{name}" for name, _ in pod.claim_names),
        )


def _unlabelled(_: str) -> Mapping[str, str]:
    return {}


@dataclass(slots=True)
class Picture:
    """Who is where, for the plugins that look at all nodes at once."""

    namespaces: NamespaceLabels = _unlabelled
    pods: dict[str, list[PodFacts]] = field(default_factory=dict)  # by node
    affine: dict[str, list[PodFacts]] = field(default_factory=dict)  # those of them that mind others

    def add(self, pod: PodFacts, node: str) -> None:
        self.pods.setdefault(node, []).append(pod)
        if pod.affine:
            self.affine.setdefault(node, []).append(pod)

    def on(self, node: str) -> Sequence[PodFacts]:
        return self.pods.get(node, ())

    def affine_on(self, node: str) -> Sequence[PodFacts]:
        return self.affine.get(node, ())


@dataclass(frozen=True, slots=True)
class Placed:
    node: str


@dataclass(frozen=True, slots=True)
class Refused:
    """No node fits. `reasons` counts the nodes per cause, in the scheduler's own words; `why` is one that is
    the same for all of them."""

    nodes: int
    reasons: Mapping[str, int]
    why: str = ""

    def __str__(self) -> str:
        """The text of the FailedScheduling event, as kube-scheduler words it."""
        if not self.nodes:
            return "no nodes available to schedule pods"
        if self.why:
            return f"0/{self.nodes} nodes are available: {self.why}."
        causes = ", ".join(sorted(f"{count} {reason}" for reason, count in self.reasons.items()))
        return f"0/{self.nodes} nodes are available: {causes}."


class Filter(Protocol):
    """Says why a pod can't run on a node; nothing said means that it can."""

    def __call__(self, pod: PodFacts, node: NodeState) -> Sequence[str]: ...


class Score(Protocol):
    """How good a node is for a pod, from 0 to 100, among those that can run it."""

    def __call__(self, pod: PodFacts, nodes: Sequence[NodeState]) -> Sequence[float]: ...


class View(Protocol):
    """What a survey made of the whole picture for one pod: a filter and a score of its own."""

    def why_not(self, node: NodeState) -> Sequence[str]: ...

    def score(self, nodes: Sequence[NodeState]) -> Sequence[float]: ...


class Survey(Protocol):
    """Looks at all nodes once per pod; None, at no cost, when nobody states anything that it minds."""

    def __call__(self, pod: PodFacts, nodes: Sequence[NodeState], picture: Picture) -> View | None: ...
