"""Whether a Job is over, and why: the interim conditions FailureTarget and SuccessCriteriaMet, which say that
its pods are to go; Failed and Complete follow when they have gone (KEP-3998, KEP-4368)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mini8s.controllers.kinds.job import failures, indexes
from mini8s.controllers.kinds.job.tally import Tally
from mini8s.controllers.kinds.job.view import View
from mini8s.objects import conditions, pods
from mini8s.objects.kinds import Obj

FAILURE, SUCCESS = "FailureTarget", "SuccessCriteriaMet"


@dataclass(frozen=True, slots=True)
class Verdict:
    type: str
    reason: str
    message: str

    @property
    def success(self) -> bool:
        return self.type == SUCCESS

    @property
    def final(self) -> str:
        return "Complete" if self.success else "Failed"


def judge(view: View, tally: Tally) -> Verdict | None:
    """What is known without looking at how many pods it still has."""
    for kind in (SUCCESS, FAILURE):
        if conditions.is_true(view.job, kind):
            said = conditions.get(view.job, kind) or {}
            return Verdict(kind, said.get("reason") or "", said.get("message") or "")
    return _failed(view, tally) or (_policy(view, tally) if view.indexed else None)


def completed() -> Verdict:
    return Verdict(SUCCESS, "CompletionsReached", "Reached expected number of succeeded pods")


def deadline_in(view: View) -> float | None:
    """Seconds until the Job may be active no longer. A start in what is the future by now was just now."""
    limit = view.spec.get("activeDeadlineSeconds")
    if limit is None or view.started is None or view.suspended:
        return None
    ran = max(timedelta(), view.now - view.started)
    return float(limit - ran.total_seconds())


def _failed(view: View, tally: Tally) -> Verdict | None:
    message = _named_by_policy(view)
    if message:
        return Verdict(FAILURE, "PodFailurePolicy", message)
    if tally.failed > view.backoff_limit or _restarted_too_often(view):
        return Verdict(FAILURE, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = deadline_in(view)
    if left is not None and left <= 0:
        return Verdict(FAILURE, "DeadlineExceeded", "Job was active longer than specified deadline")
    return _indexes_failed(view, tally) if view.per_index is not None else None


def _named_by_policy(view: View) -> str:
    if view.policy is None:
        return ""
    said = (failures.match(view.policy, pod).message for pod in view.pods if view.failed(pod))
    return next(filter(None, said), "")


def _restarted_too_often(view: View) -> bool:
    """Pods that are restarted in place fail without ending."""
    if (view.spec["template"].get("spec") or {}).get("restartPolicy") != "OnFailure":
        return False
    running = (pod for pod in view.pods if pods.phase(pod) in {"Running", "Pending"})
    restarts = sum(map(_restarts, running))
    return restarts > 0 and restarts >= view.backoff_limit


def _restarts(pod: Obj) -> int:
    status = pod.get("status") or {}
    every = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return sum(one.get("restartCount", 0) for one in every)


def _indexes_failed(view: View, tally: Tally) -> Verdict | None:
    most, lost = view.spec.get("maxFailedIndexes"), len(tally.lost)
    if most is not None and lost > most:
        why = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(FAILURE, "MaxFailedIndexesExceeded", why)
    if lost and lost + len(tally.good) >= (view.completions or 0):
        return Verdict(FAILURE, "FailedIndexes", "Job has failed indexes")
    return None


def _policy(view: View, tally: Tally) -> Verdict | None:
    """successPolicy: enough indexes, or those that matter, have succeeded."""
    rules = (view.spec.get("successPolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules):
        if tally.good and _met(rule, view.completions or 0, tally.good):
            return Verdict(SUCCESS, "SuccessPolicy", f"Matched rules at index {number}")
    return None


def _met(rule: Obj, completions: int, good: indexes.Indexes) -> bool:
    named, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    wanted = indexes.spans(named, completions) if named is not None else None
    of_these = len(good if wanted is None else indexes.within(good, wanted))
    if count is not None:
        return of_these >= int(count)
    return wanted is not None and of_these == sum(map(len, wanted))
