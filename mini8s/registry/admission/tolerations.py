"""DefaultTolerationSeconds: a pod stays five minutes on a node that has gone quiet, unless it says
otherwise."""

from __future__ import annotations

from mini8s.objects import taints
from mini8s.objects.kinds import PODS
from mini8s.registry.admission.attempt import Attempt

TOLERATION_SECONDS = 300
_MISBEHAVING = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def default_toleration_seconds(attempt: Attempt) -> None:
    if attempt.kind is not PODS or attempt.operation == "DELETE" or attempt.subresource:
        return
    found = attempt.spec.get("tolerations") or []
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
        for key in _MISBEHAVING
        if not taints.tolerates(found, {"key": key, "effect": "NoExecute"})
    ]
    if added:
        attempt.spec["tolerations"] = [*found, *added]
