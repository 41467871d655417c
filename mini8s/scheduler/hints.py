"""PURE: what may let in a pod that was refused: each plugin's part of kube-scheduler's queueing hints."""

from __future__ import annotations

from mini8s.scheduler.base import Refused
from mini8s.scheduler.plugins.node_affinity import REASON as UNSELECTED
from mini8s.scheduler.plugins.pod_affinity import LONELY, REPELLED, UNWANTED
from mini8s.scheduler.plugins.topology_spread import UNEVEN, UNLABELLED
from mini8s.scheduler.plugins.volume_binding import AFFINITY, LOST, NONE_TO_BIND, SHARED
from mini8s.scheduler.plugins.volume_zone import REASON as ELSEWHERE
from mini8s.scheduler.queue import ANY, Change

_OTHERS = {LONELY, REPELLED, UNWANTED, UNEVEN, UNLABELLED}
_STORAGE = {AFFINITY, NONE_TO_BIND, LOST, ELSEWHERE}
_ROOM = ("Insufficient ", "Too many pods", "node(s) didn't have free ports", SHARED)
_NODE = (
    UNSELECTED, "node(s) were unschedulable", "node(s) didn't match the requested", "node(s) had untolerated"
)  # fmt: skip


def cures(refused: Refused) -> Change:
    """A node may always help. A pod that waits for a claim waits for nothing else."""
    if refused.why:
        return Change.STORAGE | Change.NODE
    found = Change.NODE
    for reason in refused.reasons:
        if reason in _OTHERS:
            found |= Change.OTHERS | Change.ROOM
        elif reason in _STORAGE:
            found |= Change.STORAGE
        elif reason.startswith(_ROOM):
            found |= Change.ROOM
        elif not reason.startswith(_NODE):
            return ANY
    return found
