"""TaintToleration: hard taints keep out who does not tolerate them, soft ones make a node less liked."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects.taints import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE, first_untolerated, tolerates
from mini8s.scheduler.base import NodeState, PodFacts


def taint_toleration(pod: PodFacts, node: NodeState) -> Sequence[str]:
    taint = first_untolerated(node.taints, pod.tolerations, (NO_SCHEDULE, NO_EXECUTE))
    if taint is None:
        return ()
    return (f"node(s) had untolerated taint {{{taint.get('key', '')}: {taint.get('value', '')}}}",)


def prefer_untainted(pod: PodFacts, node: NodeState) -> float:
    return -100.0 * sum(_disliked(pod, taint) for taint in node.taints)


def _disliked(pod: PodFacts, taint: dict[str, str]) -> bool:
    return taint.get("effect") == PREFER_NO_SCHEDULE and not tolerates(pod.tolerations, taint)
