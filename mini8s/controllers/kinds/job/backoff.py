"""How long a Job waits before it tries again: 10 s after a failure, twice as long after each further one, at
most six minutes; a success starts anew.

Read from the pods themselves, so that a start of the controllers forgets nothing. A pod that ended in what is
the future by now (the clock was set back) ended just now: no wait is longer than its step.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mini8s.controllers.kinds.job import indexes
from mini8s.controllers.kinds.job.view import View, is_tracked
from mini8s.objects import conditions, meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

FIRST_SECONDS, MOST_SECONDS = 10.0, 360.0
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def remaining(view: View) -> float:
    """Seconds before the Job may create pods."""
    good = [finished(pod) for pod in view.pods if pods.phase(pod) == "Succeeded"]
    since = max(good, default=None)
    bad = [finished(pod) for pod in view.pods if view.failed(pod) and _by_itself(pod)]
    after = [when for when in bad if since is None or when > since]
    return wait(len(after), max(after, default=view.now), view.now)


def wait(failures: int, last: datetime, now: datetime) -> float:
    if not failures:
        return 0.0
    pause = min(MOST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return min(pause, max(0.0, pause - (now - last).total_seconds()))


def of_index(pod: Obj, now: datetime) -> float:
    """Seconds before the index of this pod, its last to fail, may have another."""
    return wait(absolute(pod) + 1, finished(pod), now)


def failure_count(pod: Obj) -> int:
    """How often its index had failed before this pod."""
    return _number(pod, FAILURES)


def absolute(pod: Obj) -> int:
    return _number(pod, FAILURES) + _number(pod, IGNORED)


def carried(view: View, failed: Obj | None) -> dict[str, str]:
    """What the next pod of an index says of those before it."""
    if failed is None:
        return {FAILURES: "0"}
    counted, ignored = _number(failed, FAILURES), _number(failed, IGNORED)
    if view.counts(failed):
        counted += 1
    else:
        ignored += 1
    return {FAILURES: str(counted)} | ({IGNORED: str(ignored)} if ignored else {})


def delayed(view: View, over: indexes.Indexes) -> dict[int, Obj]:
    """Of each index that is to be tried again the pod that failed last: it is kept from going until its
    replacement carries the count. `over`: indexes that have succeeded or failed for good."""
    completions = view.completions or 0
    done = over | indexes.of_pods(view.active, completions)
    found: dict[int, Obj] = {}
    for pod in view.tracked:
        index = indexes.of_pod(pod)
        if index is None or index >= completions or index in done or not view.failed(pod):
            continue
        known = found.get(index)
        if known is None or (absolute(known), finished(known)) <= (absolute(pod), finished(pod)):
            found[index] = pod
    return found


def finished(pod: Obj) -> datetime:
    """When a pod ended: its last container did, or it stopped being ready, or it was told to go."""
    ends = [_end(status) for status in _statuses(pod)]
    if ends and all(ends):
        return max(parse_time(end) for end in ends if end)
    said = conditions.get(pod, "Ready") or {}
    when = said.get("lastTransitionTime") if said.get("status") == "False" else None
    when = when or pod["metadata"].get("deletionTimestamp")
    found = parse_time(when or pod["metadata"]["creationTimestamp"])
    if when and when == pod["metadata"].get("deletionTimestamp"):
        found -= timedelta(seconds=pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    return found


def _by_itself(pod: Obj) -> bool:
    """A pod that the Job sent away, as it wanted fewer, is no failure."""
    return is_tracked(pod) or not meta.deleting(pod)


def _number(pod: Obj, annotation: str) -> int:
    stated = meta.annotations(pod).get(annotation, "")
    return int(stated) if stated.isascii() and stated.isdigit() else 0


def _statuses(pod: Obj) -> Iterable[Obj]:
    return (pod.get("status") or {}).get("containerStatuses") or ()


def _end(status: Obj) -> str | None:
    ended: str | None = ((status.get("state") or {}).get("terminated") or {}).get("finishedAt")
    return ended
