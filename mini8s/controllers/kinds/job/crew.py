"""Which pods a Job wants to have now: what it creates, whom it sends away, and when it looks again
(`job_controller.go: manageJob`)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mini8s.controllers.kinds.job import backoff, indexes
from mini8s.controllers.kinds.job.tally import Tally
from mini8s.controllers.kinds.job.verdict import Verdict
from mini8s.controllers.kinds.job.view import FINALIZER, View
from mini8s.controllers.ranking import first_to_go
from mini8s.controllers.template import pod_from
from mini8s.objects import meta
from mini8s.objects.kinds import JOBS, Obj

_ENV = "JOB_COMPLETION_INDEX"
_LONGEST_PREFIX = 58  # five characters of a pod's name are made up


@dataclass(frozen=True, slots=True)
class Crew:
    """`sent_away` are not wanted any more and count as nothing; `ended` go because the Job is over."""

    new: tuple[Obj, ...] = ()
    sent_away: tuple[Obj, ...] = ()
    ended: tuple[Obj, ...] = ()
    again_after: float | None = None

    @property
    def going(self) -> tuple[Obj, ...]:
        return self.sent_away + self.ended


def crew(view: View, tally: Tally, verdict: Verdict | None, *, burst: int) -> Crew:
    if verdict:
        return Crew(ended=view.active)
    if view.deleting:
        return Crew()
    if view.suspended:
        return Crew(sent_away=view.active[:burst])
    surplus = _surplus(view, tally)
    if surplus:
        return Crew(sent_away=tuple(surplus[:burst]))
    leaving = len(view.leaving) if view.waits_for_the_end else 0
    missing = _wanted(view, tally) - leaving - len(view.active)
    return _grown(view, tally, min(missing, burst)) if missing > 0 else Crew()


def _wanted(view: View, tally: Tally) -> int:
    if view.completions is None:
        return len(view.active) if tally.succeeded else view.parallelism
    return max(0, min(view.completions - tally.succeeded, view.parallelism))


def _surplus(view: View, tally: Tally) -> list[Obj]:
    """Pods of no index or of one that has another pod, then those whose loss hurts least."""
    gone = _misplaced(view) if view.indexed else []
    too_many = len(view.active) - _wanted(view, tally) - len(gone)
    if too_many > 0:
        known = {meta.uid(pod) for pod in gone}
        left = [pod for pod in view.active if meta.uid(pod) not in known]
        gone += first_to_go(left, too_many, {}, view.now)
    return gone


def _misplaced(view: View) -> list[Obj]:
    by_index: dict[int | None, list[Obj]] = {}
    for pod in view.active:
        by_index.setdefault(indexes.of_pod(pod) if view.belongs(pod) else None, []).append(pod)
    gone = by_index.pop(None, [])
    for same in by_index.values():
        gone += first_to_go(same, len(same) - 1, {}, view.now)
    return gone


def _grown(view: View, tally: Tally, count: int) -> Crew:
    if view.per_index is None:
        pause = backoff.remaining(view)
        if pause > 0:
            return Crew(again_after=pause)
    if not view.indexed:
        return Crew(new=(_pod(view),) * count)
    pending = _pending(view, tally, count)
    waits = {index: _pause(view, tally, index) for index in pending}
    ready = [index for index in pending if not waits[index]]
    made = tuple(_indexed_pod(view, index, tally.retried.get(index)) for index in ready)
    return Crew(new=made, again_after=min(filter(None, waits.values()), default=None))


def _pause(view: View, tally: Tally, index: int) -> float:
    failed = tally.retried.get(index)
    return backoff.of_index(failed, view.now) if failed else 0.0


def _pending(view: View, tally: Tally, count: int) -> Sequence[int]:
    """The lowest indexes that nobody is at."""
    completions = view.completions or 0
    taken = tally.good | tally.lost | indexes.of_pods(view.active, completions)
    if view.waits_for_the_end:
        taken |= indexes.of_pods(view.leaving, completions)
    found: list[int] = []
    for index in range(completions):
        if len(found) == count:
            break
        if index not in taken:
            found.append(index)
    return found


def _pod(view: View) -> Obj:
    made = pod_from(view.spec["template"], view.job, JOBS)
    held = made["metadata"].get("finalizers") or []
    made["metadata"]["finalizers"] = [*held, *([] if FINALIZER in held else [FINALIZER])]
    return made


def _indexed_pod(view: View, index: int, failed: Obj | None) -> Obj:
    made = _pod(view)
    metadata, spec, name = made["metadata"], made["spec"], meta.name(view.job)
    said = {indexes.INDEX: str(index)}
    counts = backoff.carried(view, failed) if view.per_index is not None else {}
    metadata["annotations"] = meta.annotations(made) | said | counts
    metadata["labels"] = meta.labels(made) | said
    metadata["generateName"] = name[: _LONGEST_PREFIX - len(f"-{index}-")] + f"-{index}-"
    spec["hostname"] = f"{name}-{index}"
    _tell_index([*(spec.get("initContainers") or ()), *spec["containers"]])
    return made


def _tell_index(containers: Iterable[Obj]) -> None:
    path = f"metadata.labels['{indexes.INDEX}']"
    source = {"name": _ENV, "valueFrom": {"fieldRef": {"fieldPath": path}}}
    for container in containers:
        env = container.get("env") or []
        if not any(item.get("name") == _ENV for item in env):
            container["env"] = [*env, copy.deepcopy(source)]
