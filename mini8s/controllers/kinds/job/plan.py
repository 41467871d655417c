"""One cycle of a Job: facts in, actions out (`job_controller.go: syncJob`)."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.controllers.actions import (
    Action,
    Burst,
    Create,
    Otherwise,
    Patch,
    Plan,
    Update,
    delete,
    patch,
)
from mini8s.controllers.kinds.job.crew import Crew, crew
from mini8s.controllers.kinds.job.report import Report, report
from mini8s.controllers.kinds.job.tally import Tally, tally
from mini8s.controllers.kinds.job.verdict import FAILURE, SUCCESS, completed, deadline_in, judge
from mini8s.controllers.kinds.job.view import FINALIZER, View, is_finished
from mini8s.objects import meta
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import JOBS, PODS, Obj


def plan(view: View, *, burst: int) -> Plan:
    """Pods come and go, then the status says so, then those that it counts are let go. What is counted must
    not wait for a quota: when pods are refused the rest is done all the same."""
    if is_finished(view.job):
        return Plan(let_go(view.tracked))
    found = tally(view)
    verdict = judge(view, found)
    hands = crew(view, found, verdict, burst=burst)
    if verdict is None and _reached(view, found, hands):
        verdict, hands = completed(), Crew(ended=view.active)
    said = report(view, found, verdict, hands)

    def refused(_: ApiError) -> tuple[Action, ...]:
        return _written(view, report(view, found, None, Crew()))

    actions = (*_gone(view, hands), *_made(view, hands, refused), *_written(view, said))
    waits = [wait for wait in (hands.again_after, _deadline(view, said)) if wait is not None]
    return Plan(actions, min(waits, default=None), _sentence(view, said.status))


def let_go(found: Iterable[Obj]) -> tuple[Burst, ...]:
    """The finalizer goes. A pod that changed meanwhile is looked at again: others have finalizers too."""
    patches = tuple(_untracked(pod) for pod in found)
    return (Burst(patches),) if patches else ()


def _untracked(pod: Obj) -> Patch:
    kept = [item for item in meta.finalizers(pod) if item != FINALIZER]
    return patch(PODS, pod, {"metadata": {"finalizers": kept}}, swap=True)


def _reached(view: View, found: Tally, hands: Crew) -> bool:
    """Whether enough pods have ended well and nobody is left who is wanted."""
    enough = 1 if view.completions is None else view.completions
    return found.succeeded >= enough and not hands.new and len(hands.going) == len(view.active)


def _gone(view: View, hands: Crew) -> tuple[Action, ...]:
    """Who is sent away is let go first, so that it counts as nothing."""
    deletions = tuple(delete(PODS, pod, owner=view.job) for pod in hands.going)
    freed = let_go(pod for pod in hands.sent_away if FINALIZER in meta.finalizers(pod))
    return (*freed, *((Burst(deletions),) if deletions else ()))


def _made(view: View, hands: Crew, refused: Otherwise) -> tuple[Action, ...]:
    made = tuple(Create(PODS, pod, owner=view.job) for pod in hands.new)
    return (Burst(made, refused),) if made else ()


def _written(view: View, said: Report) -> tuple[Action, ...]:
    """The status is a compare-and-swap: it was counted from the one before it."""
    changed = said.status != view.status
    status = (Update(JOBS, view.job | {"status": said.status}, "status"),) if changed else ()
    return (*status, *let_go(said.let_go), *said.events)


def _deadline(view: View, said: Report) -> float | None:
    """The start may be one of this cycle."""
    if view.suspended or _is_over(said.status):
        return None
    left = deadline_in(view)
    stated = view.spec.get("activeDeadlineSeconds")
    return left if left is not None or stated is None else float(stated)


def _is_over(status: Obj) -> bool:
    return any(item["type"] in {FAILURE, SUCCESS} for item in status.get("conditions") or ())


def _sentence(view: View, status: Obj) -> str:
    wanted = f" of {view.completions}" if view.completions is not None else ""
    failed = f", {status['failed']} failed" if status.get("failed") else ""
    word = ", suspended" if view.suspended else ""
    return f"{status.get('succeeded', 0)}{wanted} succeeded, {status.get('active', 0)} active{failed}{word}"
