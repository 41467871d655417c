"""What the scheduler decides on: nodes and pods as facts, parsed once, and the plugins' three contracts.

Everything here is immutable. A `NodeState` with one more pod is a new `NodeState`, so that a decision can be
tried, taken back and tested without a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from mini8s.objects.kinds import Obj
from mini8s.scheduler.terms import NO_RULES, Constraint, PodRules


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

    def __sub__(self, other: Resources) -> Resources:
        others = self.others
        if other.others:
            others = {name: amount - other.others.get(name, 0) for name, amount in others.items()}
        return Resources(self.cpu - other.cpu, self.memory - other.memory, self.pods - other.pods, others)


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
    started: str = ""  # when it began, or was made
    preempts: bool = True  # spec.preemptionPolicy is not Never
    nominated: str = ""  # status.nominatedNodeName
    images: tuple[str, ...] = ()
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
    shape: str = ""  # equal for pods that every filter and score judges alike, labels and claims apart

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
    images: Mapping[str, int] = field(default_factory=dict)  # bytes of each that is there
    requested: Resources = Resources()
    host_ports: frozenset[HostPort] = frozenset()
    owners: Mapping[str, int] = field(default_factory=dict)
    claims: frozenset[str] = frozenset()  # the keys of those that its pods use

    def with_pod(self, pod: PodFacts) -> NodeState:
        """This node after the pod was placed on it."""
        owners = self.owners
        if pod.owner:
            owners = dict(owners)
            owners[pod.owner] = owners.get(pod.owner, 0) + 1
        used = (f"{pod.namespace}/{name}" for name, _ in pod.claim_names)
        return NodeState(
            self.name,
            self.labels,
            self.taints,
            self.unschedulable,
            self.allocatable,
            self.images,
            self.requested + pod.requests,
            self.host_ports | pod.host_ports if pod.host_ports else self.host_ports,
            owners,
            self.claims.union(used) if pod.claim_names else self.claims,
        )

    def with_pods(self, pods: Iterable[PodFacts]) -> NodeState:
        state = self
        for pod in pods:
            state = state.with_pod(pod)
        return state

    def without_pod(self, pod: PodFacts, left: Iterable[PodFacts]) -> NodeState:
        """This node after the pod went and those are left: ports and claims may be held by several."""
        if pod.host_ports or pod.claim_names:
            return self.bare().with_pods(left)
        owners = {uid: count - (uid == pod.owner) for uid, count in self.owners.items()}
        return replace(
            self,
            requested=self.requested - pod.requests,
            owners={uid: count for uid, count in owners.items() if count},
        )

    def bare(self) -> NodeState:
        """This node with nothing on it."""
        return NodeState(
            self.name, self.labels, self.taints, self.unschedulable, self.allocatable, self.images
        )


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
    preemption: str = ""  # why removing others would not help either

    def __str__(self) -> str:
        """The text of the FailedScheduling event, as kube-scheduler words it."""
        if not self.nodes:
            return "no nodes available to schedule pods"
        if self.why:
            return f"0/{self.nodes} nodes are available: {self.why}."
        causes = ", ".join(sorted(f"{count} {reason}" for reason, count in self.reasons.items()))
        said = f"0/{self.nodes} nodes are available: {causes}."
        return f"{said} {self.preemption}" if self.preemption else said


class Filter(Protocol):
    """Says why a pod can't run on a node; nothing said means that it can."""

    def __call__(self, pod: PodFacts, node: NodeState) -> Sequence[str]: ...


class Score(Protocol):
    """How good a node is for a pod: up to 100, and less the worse it is. Of this node alone, never in
    relation to others: then a change on one node moves that node only."""

    def __call__(self, pod: PodFacts, node: NodeState) -> float: ...


class View(Protocol):
    """What a survey made of the picture for pods of one shape, and keeps true. It judges a node by the
    domains that it is in, one topology key at a time: `value` is the node's label of that key, None for no
    such label."""

    @property
    def keys(self) -> Sequence[str]: ...

    @property
    def loosened(self) -> int:
        """Grows when domains that were refused may do now though no pod on their nodes changed."""

    def why_not(self, key: str, value: str | None) -> Sequence[str]: ...

    def points(self, key: str, value: str | None) -> float: ...

    def moved(self, pod: PodFacts, labels: Mapping[str, str], node: str, sign: int, /) -> bool:
        """A pod came to a node (1) or left it (-1). False: look at everything anew."""


class Survey(Protocol):
    """Looks at all nodes for one shape of pods; None, at no cost, when nobody states anything that it
    minds."""

    def __call__(self, pod: PodFacts, picture: Picture) -> View | None: ...


class Picture(Protocol):
    """Who is where."""

    @property
    def nodes(self) -> Mapping[str, NodeState]: ...

    @property
    def minding(self) -> int:
        """How many placed pods say anything of others."""

    def on(self, node: str) -> Iterable[PodFacts]: ...

    def minding_on(self, node: str) -> Iterable[PodFacts]: ...

    def labels_of(self, namespace: str) -> Mapping[str, str]: ...
