"""What a Job's pods amount to: who is new at the end, and the counts with them.

A pod that has ended is counted in steps, each of which may be the last before a crash: its uid goes into
`uncountedTerminatedPods`, then its finalizer goes, then the uid becomes a number. So none is lost and none is
counted twice (KEP-2307). Indexes that succeeded need no uid: they are a set already.
"""

from __future__ import annotations

from dataclasses import dataclass

from mini8s.controllers.kinds.job import backoff, failures, indexes
from mini8s.controllers.kinds.job.indexes import Indexes
from mini8s.controllers.kinds.job.view import View
from mini8s.objects import meta, pods
from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class Tally:
    """`counted_*` are the numbers whose pods were let go; `waiting_*` uids on the way there; `succeeded` and
    `failed` are all. `good` and `lost` are indexes; `retried` the last failed pod of each index that will be
    tried again."""

    counted_succeeded: int
    counted_failed: int
    waiting_succeeded: tuple[str, ...]
    waiting_failed: tuple[str, ...]
    succeeded: int
    failed: int
    recorded: Indexes
    good: Indexes
    lost: Indexes
    retried: dict[int, Obj]


def tally(view: View) -> Tally:
    held = {meta.uid(pod) for pod in view.tracked}
    uncounted = view.status.get("uncountedTerminatedPods") or {}
    good_uids, bad_uids = (tuple(uncounted.get(part) or ()) for part in ("succeeded", "failed"))
    waiting_good = tuple(uid for uid in good_uids if uid in held)
    waiting_bad = tuple(uid for uid in bad_uids if uid in held)
    counted_good = view.status.get("succeeded", 0) + len(good_uids) - len(waiting_good)
    counted_bad = view.status.get("failed", 0) + len(bad_uids) - len(waiting_bad)
    succeeded = counted_good + len(waiting_good) + _new(view, waiting_good, succeeded=True)
    failed = counted_bad + len(waiting_bad) + _new(view, waiting_bad, succeeded=False)
    recorded, good, lost = _indexes(view)
    if view.indexed:
        succeeded = len(good)
    retried = backoff.delayed(view, good | lost) if view.per_index is not None else {}
    return Tally(
        counted_good, counted_bad, waiting_good, waiting_bad, succeeded, failed, recorded, good, lost, retried
    )  # fmt: skip


def _new(view: View, known: tuple[str, ...], *, succeeded: bool) -> int:
    ended = (
        pod
        for pod in view.tracked
        if view.belongs(pod) and meta.uid(pod) not in known and (pods.phase(pod) == "Succeeded") == succeeded
    )
    return sum(succeeded or (view.failed(pod) and view.counts(pod)) for pod in ended)


def _indexes(view: View) -> tuple[Indexes, Indexes, Indexes]:
    if not view.indexed:
        return indexes.NONE, indexes.NONE, indexes.NONE
    completions = view.completions or 0
    recorded = indexes.parse(view.status.get("completedIndexes") or "", completions)
    done = (pod for pod in view.tracked if pods.phase(pod) == "Succeeded")
    lost = indexes.parse(view.status.get("failedIndexes") or "", completions)
    given_up = (pod for pod in view.tracked if view.per_index is not None and _is_the_last(view, pod))
    return (
        recorded,
        recorded | indexes.of_pods(done, completions),
        lost | indexes.of_pods(given_up, completions),
    )


def _is_the_last(view: View, pod: Obj) -> bool:
    """Whether the pod's index has failed with it."""
    if not view.failed(pod):
        return False
    found = failures.match(view.policy, pod) if view.policy else failures.Match()
    if found.action == failures.FAIL_INDEX:
        return True
    return found.counts and backoff.failure_count(pod) >= (view.per_index or 0)
