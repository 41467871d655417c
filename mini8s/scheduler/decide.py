"""Where a pod goes: every node is filtered, those left are scored, the best wins, equals by their name.

Pure, so that the same picture always gives the same decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mini8s.scheduler.base import NodeState, Placed, PodFacts, Refused
from mini8s.scheduler.plugins import FILTERS, SCORES


def decide(pod: PodFacts, nodes: Iterable[NodeState]) -> Placed | Refused:
    """The node to bind the pod to, or why there is none."""
    waits = next((one.refusal for one in pod.claims if one.refusal), "")
    if waits:
        return Refused(sum(1 for _ in nodes), {}, waits)
    feasible: list[NodeState] = []
    reasons: Counter[str] = Counter()
    seen = 0
    for node in nodes:
        seen += 1
        refusal = why_not(pod, node)
        if refusal:
            reasons.update(refusal)
        else:
            feasible.append(node)
    if not feasible:
        return Refused(seen, dict(reasons))
    return Placed(best(pod, feasible).name)


def why_not(pod: PodFacts, node: NodeState) -> Sequence[str]:
    """What the first filter that refuses says; nothing if the pod fits."""
    for refuses in FILTERS:
        reasons = refuses(pod, node)
        if reasons:
            return reasons
    return ()


def best(pod: PodFacts, nodes: Sequence[NodeState]) -> NodeState:
    totals = [0.0] * len(nodes)
    for score, weight in SCORES:
        for index, points in enumerate(score(pod, nodes)):
            totals[index] += weight * points
    return min(zip(totals, nodes, strict=True), key=lambda pair: (-pair[0], pair[1].name))[1]
