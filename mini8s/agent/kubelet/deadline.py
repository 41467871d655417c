"""PURE: how long a pod may be active on its node (`activeDeadlineSeconds`), and what is said when it was."""

from __future__ import annotations

from datetime import datetime

from mini8s.agent.kubelet.view import Doom
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import is_terminal

EXCEEDED = Doom("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


def left(pod: Obj, began: datetime | None, now: datetime) -> float | None:
    """Seconds until the pod's time is up, 0 when it is; None when it has all the time or no use for it."""
    seconds = pod["spec"].get("activeDeadlineSeconds")
    if seconds is None or began is None or is_terminal(pod):
        return None
    return max(0.0, float(seconds) - (now - began).total_seconds())
