"""What a Deployment says of itself: counts, and the conditions that `kubectl rollout status` waits for
(`progress.go`, `sync.go: calculateStatus`)."""

from __future__ import annotations

from datetime import datetime, timedelta

from mini8s.controllers.kinds.deployment.view import View, count, total
from mini8s.objects import conditions, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time, parse_time

PROGRESSING, AVAILABLE, REPLICA_FAILURE = "Progressing", "Available", "ReplicaFailure"
DONE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
RETRY_SECONDS = 1.0


def with_progress(status: Obj, value: str, reason: str, message: str, now: datetime) -> Obj:
    """The status with another word about progress."""
    return _set(status, PROGRESSING, value, reason, message, now)


def pausing(view: View, status: Obj) -> Obj:
    """A pause and its end are part of the progress, so that the deadline does not run meanwhile."""
    found = _find(status, PROGRESSING)
    reason = (found or {}).get("reason")
    if view.deadline is None or reason == TIMED_OUT:
        return status
    if view.paused and reason != PAUSED:
        return with_progress(status, "Unknown", PAUSED, "Deployment is paused", view.now)
    if not view.paused and reason == PAUSED:
        return with_progress(status, "Unknown", RESUMED, "Deployment is resumed", view.now)
    return status


def counted(view: View, status: Obj) -> Obj:
    """The counts as the ReplicaSets report them, and Available."""
    available = count(view.all, "availableReplicas")
    counts = {
        "replicas": count(view.all, "replicas"),
        "updatedReplicas": view.new.of("replicas") if view.new else 0,
        "readyReplicas": count(view.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(view.all) - available),
    }
    kept: Obj = {key: status[key] for key in ("collisionCount", "conditions") if key in status}
    new: Obj = {
        "observedGeneration": meta.generation(view.obj),
        **{field: number for field, number in counts.items() if number},
        **kept,
    }
    if available >= view.replicas - view.max_unavailable:
        what = "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    else:
        what = "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
    return _set(new, AVAILABLE, *what, view.now)


def rolled(view: View, status: Obj) -> Obj:
    """The counts, and how the roll-out goes."""
    new = counted(view, status)
    if view.deadline is None:
        new = _without(new, PROGRESSING)
    elif not _was_complete(status, new):
        new = _judged(view, new)
    failure = next(
        (found for one in reversed(view.all) if (found := conditions.get(one.obj, REPLICA_FAILURE))), None
    )
    if failure is None:
        return _without(new, REPLICA_FAILURE)
    return _set(new, REPLICA_FAILURE, failure["status"], failure["reason"], failure["message"], view.now)


def complete(view: View, status: Obj) -> bool:
    wanted = view.replicas
    numbers = [status.get(field) or 0 for field in ("updatedReplicas", "replicas", "availableReplicas")]
    return numbers == [wanted] * 3 and status.get("observedGeneration", 0) >= meta.generation(view.obj)


def look_again(view: View, status: Obj) -> float | None:
    """Seconds until the deadline can have passed; None when nothing is waited for."""
    found = _find(status, PROGRESSING)
    if view.deadline is None or found is None or view.paused:
        return None
    if found["reason"] in {DONE, TIMED_OUT} or complete(view, status):
        return None
    left = (_due(found, view.deadline) - view.now).total_seconds()
    return max(0.0, left) + RETRY_SECONDS


def _judged(view: View, new: Obj) -> Obj:
    who = f'ReplicaSet "{view.new.name}"' if view.new else f'Deployment "{view.name}"'
    if complete(view, new):
        return with_progress(new, "True", DONE, f"{who} has successfully progressed.", view.now)
    if _moved(view.status, new):
        return _moving(new, f"{who} is progressing.", view.now)
    if _late(view, new):
        return with_progress(new, "False", TIMED_OUT, f"{who} has timed out progressing.", view.now)
    return new


def _was_complete(before: Obj, new: Obj) -> bool:
    reason = (_find(before, PROGRESSING) or {}).get("reason")
    return reason == DONE and (new.get("replicas") or 0) == (new.get("updatedReplicas") or 0)


def _moved(old: Obj, new: Obj) -> bool:
    """More new pods, fewer old ones, or more of them ready or available than at the last look."""
    olds, news = (
        (
            found.get("updatedReplicas") or 0,
            (found.get("updatedReplicas") or 0) - (found.get("replicas") or 0),
            found.get("readyReplicas") or 0,
            found.get("availableReplicas") or 0,
        )
        for found in (old, new)
    )
    return any(after > before for before, after in zip(olds, news, strict=True))


def _moving(status: Obj, message: str, now: datetime) -> Obj:
    """Progress renews the deadline, also when status and reason stay."""
    found = _find(status, PROGRESSING)
    renewed = with_progress(_without(status, PROGRESSING), "True", "ReplicaSetUpdated", message, now)
    if found and found["status"] == "True":
        renewed["conditions"][-1]["lastTransitionTime"] = found["lastTransitionTime"]
    return renewed


def _late(view: View, status: Obj) -> bool:
    found = _find(status, PROGRESSING)
    if view.deadline is None or found is None or found["reason"] == DONE:
        return False
    return found["reason"] == TIMED_OUT or _due(found, view.deadline) < view.now


def _due(condition: Obj, deadline: int) -> datetime:
    return parse_time(condition["lastUpdateTime"]) + timedelta(seconds=deadline)


def _set(status: Obj, type: str, value: str, reason: str, message: str, now: datetime) -> Obj:
    """Nothing changes while status and reason stay the same, not even the message (upstream's rule)."""
    found = _find(status, type)
    if found and (found["status"], found["reason"]) == (value, reason):
        return status
    new = {
        "type": type,
        "status": value,
        "reason": reason,
        "message": message,
        "lastUpdateTime": format_time(now),
        "lastTransitionTime": found["lastTransitionTime"]
        if found and found["status"] == value
        else format_time(now),
    }
    return status | {"conditions": [*conditions.remove_condition(status.get("conditions") or (), type), new]}


def _without(status: Obj, type: str) -> Obj:
    if _find(status, type) is None:
        return status
    left = conditions.remove_condition(status["conditions"], type)
    rest = {key: value for key, value in status.items() if key != "conditions"}
    return rest | ({"conditions": left} if left else {})


def _find(status: Obj, type: str) -> Obj | None:
    return conditions.get({"status": status}, type)
