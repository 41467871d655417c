"""Where a pod goes: every node is filtered, those left are scored, the best wins, equals by their name.

Pure, so that the same picture always gives the same decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mini8s.scheduler.base import NodeState, Picture, Placed, PodFacts, Refused, View
from mini8s.scheduler.plugins import FILTERS, SCORES, SURVEYS

Views = Sequence[tuple[View, int]]  # and what each one's score weighs


def decide(pod: PodFacts, nodes: Iterable[NodeState], picture: Picture | None = None) -> Placed | Refused:
    """The node to bind the pod to, or why there is none."""
    waits = next((one.refusal for one in pod.claims if one.refusal), "")
    if waits:
        return Refused(sum(1 for _ in nodes), {}, waits)
    feasible: list[NodeState] = []
    reasons: Counter[str] = Counter()
    nodes = list(nodes)
    views = surveyed(pod, nodes, picture or Picture())
    for node in nodes:
        refusal = why_not(pod, node, views)
        if refusal:
            reasons.update(refusal)
        else:
            feasible.append(node)
    if not feasible:
        return Refused(len(nodes), dict(reasons))
    return Placed(best(pod, feasible, views).name)


def surveyed(pod: PodFacts, nodes: Sequence[NodeState], picture: Picture) -> Views:
    found = ((survey(pod, nodes, picture), weight) for survey, weight in SURVEYS)
    return [(view, weight) for view, weight in found if view]


def why_not(pod: PodFacts, node: NodeState, views: Views = ()) -> Sequence[str]:
    """What the first filter that refuses says; nothing if the pod fits."""
    for refuses in FILTERS:
        reasons = refuses(pod, node)
        if reasons:
            return reasons
    for view, _ in views:
        if reasons := view.why_not(node):
            return reasons
    return ()


def best(pod: PodFacts, nodes: Sequence[NodeState], views: Views = ()) -> NodeState:
    totals = [0.0] * len(nodes)
    for score, weight in SCORES:
        for index, points in enumerate(score(pod, nodes)):
            totals[index] += weight * points
    for view, weight in views:
        for index, points in enumerate(view.score(nodes)):
            totals[index] += weight * points
    return min(zip(totals, nodes, strict=True), key=lambda pair: (-pair[0], pair[1].name))[1]
