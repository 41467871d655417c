"""PURE: whom to remove so that a pod of higher priority finds a place (kube-scheduler's DefaultPreemption).

For each node that refuses for what is on it, the pods of lower priority are taken away in thought, and given
back, the most important first, as long as the pod still fits: who is left are the victims. Of all nodes that
one is chosen where least is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mini8s.objects.labels import Selector
from mini8s.scheduler.base import NodeState, PodFacts, View
from mini8s.scheduler.board import Board
from mini8s.scheduler.passes import refusal
from mini8s.scheduler.plugins.pod_affinity import LONELY
from mini8s.scheduler.plugins.resources_fit import resources_fit
from mini8s.scheduler.plugins.topology_spread import UNLABELLED
from mini8s.scheduler.plugins.volume_binding import AFFINITY, LOST, NONE_TO_BIND
from mini8s.scheduler.plugins.volume_zone import REASON as ELSEWHERE
from mini8s.scheduler.profiles import Profile

ENOUGH = 100  # kube-scheduler's minCandidateNodesAbsolute: so many choices will do
NO_VICTIMS = "No preemption victims found for incoming pod"
UNHELPFUL = "Preemption is not helpful for scheduling"
_FOR_GOOD = {AFFINITY, NONE_TO_BIND, LOST, ELSEWHERE, UNLABELLED, LONELY}  # upstream's "unresolvable"


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget and how many more pods it can spare."""

    namespace: str
    selector: Selector
    spare: int

    def covers(self, pod: PodFacts) -> bool:
        return self.namespace == pod.namespace and self.selector.matches(pod.labels)


@dataclass(frozen=True, slots=True)
class Victims:
    node: str
    pods: Sequence[PodFacts]
    violations: int  # of budgets

    def loss(self) -> tuple[object, ...]:
        """Less is better: upstream's criteria in their order. The last is about how long those of the highest
        priority have been running: who came later has less to lose."""
        highest = max(pod.priority for pod in self.pods)
        earliest = min(pod.started for pod in self.pods if pod.priority == highest)
        total = sum(pod.priority + 2**31 for pod in self.pods)
        return self.violations, highest, total, len(self.pods), _later_first(earliest), self.node


@dataclass(frozen=True, slots=True)
class Unhelpful:
    """No removal would help; how many nodes for each reason."""

    nodes: int
    reasons: Mapping[str, int]

    def __str__(self) -> str:
        causes = ", ".join(sorted(f"{count} {reason}" for reason, count in self.reasons.items() if count))
        return f"preemption: 0/{self.nodes} nodes are available: {causes}."


def preempt(
    pod: PodFacts, board: Board, profile: Profile, budgets: Sequence[Budget] = ()
) -> Victims | Unhelpful | None:
    """None: the pod may not remove anybody, or has already and waits for them to go."""
    if not pod.preempts or _under_way(pod, board):
        return None
    views = profile.surveyed(pod, board)
    choices: list[Victims] = []
    fixed = 0
    for node in board.nodes.values():
        if _helpless(pod, node, profile, views):
            fixed += 1
        elif found := _Trial(pod, node, board, profile, views).victims(budgets):
            choices.append(found)
            if len(choices) >= ENOUGH:
                break
    if choices:
        return min(choices, key=Victims.loss)
    total = len(board.nodes)
    return Unhelpful(total, {UNHELPFUL: fixed, NO_VICTIMS: total - fixed})


class _Trial:
    """One node on which pods are taken away and given back in thought; the views end as they were."""

    def __init__(
        self,
        pod: PodFacts,
        node: NodeState,
        board: Board,
        profile: Profile,
        views: Sequence[tuple[View, float]],
    ) -> None:
        self._pod, self._node, self._profile, self._views = pod, node, profile, views
        self._there = {one.uid: one for one in board.on(node.name)}
        first = board.nominated_on(node.name, pod.priority)
        self._first = [one for one in first if one.uid != pod.uid]

    def victims(self, budgets: Sequence[Budget]) -> Victims | None:
        lower = [one for one in self._there.values() if one.priority < self._pod.priority]
        if not lower:
            return None
        for one in lower:
            self._move(one, -1)
        try:
            if not self._fits():
                return None
            violating, others = _by_budget(sorted(lower, key=_importance), budgets)
            spared = [one for one in (*violating, *others) if self._gives_back(one)]
        finally:
            gone = [one for one in lower if one.uid not in self._there]
            for one in gone:
                self._move(one, 1)
        kept = {one.uid for one in spared}
        left = [one for one in lower if one.uid not in kept]
        broken = sum(one.uid not in kept for one in violating)
        return Victims(self._node.name, left, broken) if left else None

    def _gives_back(self, one: PodFacts) -> bool:
        self._move(one, 1)
        if self._fits():
            return True
        self._move(one, -1)
        return False

    def _fits(self) -> bool:
        state = self._node.bare().with_pods((*self._there.values(), *self._first))
        return not self._profile.refuses_now(self._pod, state) and not refusal(self._views, state)

    def _move(self, one: PodFacts, sign: int) -> None:
        if sign > 0:
            self._there[one.uid] = one
        else:
            del self._there[one.uid]
        for view, _ in self._views:
            view.moved(one, self._node.labels, self._node.name, sign)


def _helpless(pod: PodFacts, node: NodeState, profile: Profile, views: Sequence[tuple[View, float]]) -> bool:
    """Whether the node would refuse the pod with nobody on it, too."""
    if profile.refuses_as_such(pod, node):
        return True
    if not _FOR_GOOD.isdisjoint(profile.refuses_now(pod, node.bare())):
        return True
    return bool(resources_fit(pod, node.bare())) or not _FOR_GOOD.isdisjoint(refusal(views, node))


def _under_way(pod: PodFacts, board: Board) -> bool:
    there = board.on(pod.nominated) if pod.nominated else ()
    return any(one.deleting and one.priority < pod.priority for one in there)


def _importance(pod: PodFacts) -> tuple[int, str, str]:
    """More important first: higher priority, then longer running."""
    return -pod.priority, pod.started, pod.uid


def _by_budget(
    pods: Iterable[PodFacts], budgets: Sequence[Budget]
) -> tuple[Sequence[PodFacts], Sequence[PodFacts]]:
    """Those whose removal would break a budget, and those whose would not, counted in this order."""
    spare = [budget.spare for budget in budgets]
    violating: list[PodFacts] = []
    others: list[PodFacts] = []
    for pod in pods:
        covering = [index for index, budget in enumerate(budgets) if budget.covers(pod)]
        for index in covering:
            spare[index] -= 1
        (violating if any(spare[index] < 0 for index in covering) else others).append(pod)
    return violating, others


def _later_first(time: str) -> tuple[int, ...]:
    return tuple(-ord(letter) for letter in time)
