"""What a Job says of itself after a cycle: counts, conditions, whom it lets go, and the events about it."""

from __future__ import annotations

from dataclasses import dataclass

from mini8s.controllers.actions import NORMAL, WARNING, Tell
from mini8s.controllers.kinds.job import indexes
from mini8s.controllers.kinds.job.crew import Crew
from mini8s.controllers.kinds.job.tally import Tally
from mini8s.controllers.kinds.job.verdict import Verdict
from mini8s.controllers.kinds.job.view import View
from mini8s.objects import conditions, meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time

MOST_UNCOUNTED = 500  # uids in a status
_SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class Report:
    """`let_go`: pods whose finalizer goes once the status is written."""

    status: Obj
    let_go: tuple[Obj, ...] = ()
    events: tuple[Tell, ...] = ()


@dataclass(slots=True)
class _Counting:
    """Who is counted in this cycle."""

    let_go: list[Obj]
    succeeded: list[str]
    failed: list[str]
    good: set[int]

    @property
    def full(self) -> bool:
        return len(self.succeeded) + len(self.failed) + len(self.good) >= MOST_UNCOUNTED


def report(view: View, tally: Tally, verdict: Verdict | None, crew: Crew) -> Report:
    done = _count(view, tally, verdict, {meta.uid(pod) for pod in crew.going})
    status = _numbers(view, tally, crew, done)
    found, events = _conditions(view, verdict)
    if not view.suspended and (view.started is None or any(event.reason == "Resumed" for event in events)):
        status["startTime"] = format_time(view.now)
    over = verdict is not None and not (view.tracked or tally.waiting_succeeded or tally.waiting_failed)
    if verdict and over and not status["terminating"] and not status.get("active"):
        found = conditions.set_condition(
            found, verdict.final, "True", reason=verdict.reason, message=verdict.message, now=view.now
        )
        events += _finished(view, verdict, status)
        if verdict.success:
            status["completionTime"] = format_time(view.now)
    if found:
        status["conditions"] = found
    return Report(status, tuple(done.let_go), events)


def _count(view: View, tally: Tally, verdict: Verdict | None, going: set[str]) -> _Counting:
    """`going`: who is being deleted in this very cycle is counted in the next."""
    done = _Counting([], list(tally.waiting_succeeded), list(tally.waiting_failed), set())
    kept = {meta.uid(pod) for pod in tally.retried.values()}
    candidates = [pod for pod in view.tracked if meta.uid(pod) not in going]
    failing = verdict is not None and not verdict.success
    ending = verdict is not None and verdict.success  # who is sent away then has not failed
    for pod in candidates:
        succeeded, failed = pods.phase(pod) == "Succeeded", view.failed(pod)
        may_go = failed and meta.uid(pod) not in kept
        if not (verdict or view.deleting or succeeded or may_go):
            continue
        if done.full:
            break
        done.let_go.append(pod)
        if succeeded:
            _count_good(view, pod, done)
        elif (failing or (failed and not (ending and meta.deleting(pod)))) and _is_new(view, pod, done):
            done.failed.append(meta.uid(pod))
    return done


def _is_new(view: View, pod: Obj, done: _Counting) -> bool:
    return view.belongs(pod) and meta.uid(pod) not in done.failed and view.counts(pod)


def _count_good(view: View, pod: Obj, done: _Counting) -> None:
    index = indexes.of_pod(pod)
    if view.indexed:
        if index is not None and view.belongs(pod):
            done.good.add(index)
    elif meta.uid(pod) not in done.succeeded:
        done.succeeded.append(meta.uid(pod))


def _numbers(view: View, tally: Tally, crew: Crew, done: _Counting) -> Obj:
    gone = {meta.uid(pod) for pod in crew.going}
    active = len(view.active) + len(crew.new) - len(gone)
    ready = sum(pods.is_ready(pod) for pod in view.active if meta.uid(pod) not in gone)
    good = tally.recorded | done.good
    succeeded = len(good) if view.indexed else tally.counted_succeeded
    counts = {"active": active, "succeeded": succeeded, "failed": tally.counted_failed}
    uncounted = {"succeeded": done.succeeded, "failed": done.failed}
    texts = {"completedIndexes": indexes.show(good), "failedIndexes": indexes.show(tally.lost)}
    kept = {key: view.status[key] for key in ("startTime", "completionTime") if view.status.get(key)}
    return {
        **kept,
        **{key: count for key, count in counts.items() if count},
        **{key: text for key, text in texts.items() if text},
        "ready": ready,
        "terminating": len(view.leaving) + len(gone),
        "uncountedTerminatedPods": {key: uids for key, uids in uncounted.items() if uids},
    }


def _conditions(view: View, verdict: Verdict | None) -> tuple[list[Obj], tuple[Tell, ...]]:
    found = list(view.status.get("conditions") or ())
    if verdict:
        said = conditions.set_condition(
            found, verdict.type, "True", reason=verdict.reason, message=verdict.message, now=view.now
        )
        return (found if conditions.is_true(view.job, verdict.type) else said), ()
    known = (conditions.get(view.job, _SUSPENDED) or {}).get("status")
    if view.deleting or view.suspended == (known == "True"):
        return found, ()
    word = "Suspended" if view.suspended else "Resumed"
    reason, message = f"Job{word}", f"Job {word.lower()}"
    state = "True" if view.suspended else "False"
    found = conditions.set_condition(found, _SUSPENDED, state, reason=reason, message=message, now=view.now)
    return found, (Tell(view.job, NORMAL, word, message),)


def _finished(view: View, verdict: Verdict, status: Obj) -> tuple[Tell, ...]:
    if not verdict.success:
        return (Tell(view.job, WARNING, verdict.reason, verdict.message),)
    done = Tell(view.job, NORMAL, "Completed", "Job completed")
    if view.completions is not None and status.get("succeeded", 0) > view.completions:
        return (Tell(view.job, WARNING, "TooManySucceededPods", "Too many succeeded pods exist"), done)
    return (done,)
