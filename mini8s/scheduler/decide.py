"""PURE: where a pod goes. Pods of one shape share a pass over the nodes, kept for as long as they come.

The same board always gives the same decision: the best score wins, equals by their name.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping

from mini8s.scheduler.base import NodeState, Placed, PodFacts, Refused
from mini8s.scheduler.board import Board
from mini8s.scheduler.passes import Pass, refusal
from mini8s.scheduler.plugins.node_affinity import REASON as UNSELECTED
from mini8s.scheduler.plugins.node_affinity import named_nodes
from mini8s.scheduler.profiles import DEFAULT, Profile, profile

KEPT_PASSES = 16  # at 5,000 nodes about 1 MB each
_Key = tuple[str, str, str]


class Decider:
    """Decisions on one board, for the pods of the profiles' names."""

    def __init__(self, board: Board, profiles: Mapping[str, Profile] | None = None) -> None:
        self._board = board
        self._profiles = profiles or {DEFAULT: profile()}
        self._passes: OrderedDict[_Key, Pass] = OrderedDict()

    def decide(self, pod: PodFacts) -> Placed | Refused:
        """The node to bind the pod to, or why there is none. Does not place it."""
        nodes = self._board.nodes
        if waits := next((one.refusal for one in pod.claims if one.refusal), ""):
            return Refused(len(nodes), {}, waits)
        chosen = self.profile(pod)
        if pod.nominated and (found := self._among(pod, {pod.nominated}, chosen)):
            return Placed(found)
        names = named_nodes(pod)
        if names is not None:
            found = self._among(pod, names, chosen)
            return Placed(found) if found else self._refused_by(pod, names, chosen)
        one = self._pass(pod, chosen)
        node = one.pick()
        return Placed(node.name) if node else Refused(len(nodes), dict(one.reasons()))

    def profile(self, pod: PodFacts) -> Profile:
        return self._profiles[pod.scheduler]

    def forget(self) -> None:
        """Look at everything anew: something changed that the board doesn't hold."""
        self._passes.clear()

    def _among(self, pod: PodFacts, names: Iterable[str], chosen: Profile) -> str:
        """The best of a few nodes; "" if none of them will do."""
        few = [self._board.nodes[name] for name in names if name in self._board.nodes]
        views = chosen.surveyed(pod, self._board)
        able = [node for node in few if not chosen.why_not(pod, self._seen_by(pod, node))]
        able = [node for node in able if not refusal(views, node)]
        ranked = [(chosen.points_as_such(pod, node) + chosen.points_now(pod, node), node) for node in able]
        return min(ranked, key=lambda pair: (-pair[0], pair[1].name))[1].name if ranked else ""

    def _refused_by(self, pod: PodFacts, names: Iterable[str], chosen: Profile) -> Refused:
        """All other nodes refuse for what they are called."""
        nodes = self._board.nodes
        few = [nodes[name] for name in names if name in nodes]
        views = chosen.surveyed(pod, self._board)
        said = (chosen.why_not(pod, self._seen_by(pod, node)) or refusal(views, node) for node in few)
        reasons = Counter(reason for reasons in said for reason in reasons)
        reasons[UNSELECTED] += len(nodes) - len(few)
        return Refused(len(nodes), dict(+reasons))

    def _seen_by(self, pod: PodFacts, node: NodeState) -> NodeState:
        first = self._board.nominated_on(node.name, pod.priority)
        return node.with_pods(one for one in first if one.uid != pod.uid)

    def _pass(self, pod: PodFacts, chosen: Profile) -> Pass:
        if pod.claims:  # which are this pod's own
            return Pass(pod, self._board, chosen)
        minds = bool(pod.spread or pod.affine or self._board.minding)
        key = (chosen.name, pod.shape, repr(sorted(pod.labels.items())) if minds else "")
        one = self._passes.get(key)
        if one is None or not one.catch_up():
            one = self._passes[key] = Pass(pod, self._board, chosen)
        self._passes.move_to_end(key)
        if len(self._passes) > KEPT_PASSES:
            self._passes.popitem(last=False)
        return one
