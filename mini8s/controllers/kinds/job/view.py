"""The facts of one cycle: a Job and its pods, and what its spec means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mini8s.controllers.kinds.job import failures, indexes
from mini8s.objects import conditions, meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

FINALIZER = "batch.kubernetes.io/job-tracking"  # no finished pod goes before it was counted (KEP-2307)
CONTROLLER = "kubernetes.io/job-controller"  # what `managedBy` says of this one


@dataclass(frozen=True, slots=True)
class View:
    job: Obj
    pods: tuple[Obj, ...]
    now: datetime

    @property
    def spec(self) -> Obj:
        return dict(self.job["spec"])

    @property
    def status(self) -> Obj:
        return self.job.get("status") or {}

    @property
    def parallelism(self) -> int:
        return int(self.spec.get("parallelism", 1))

    @property
    def completions(self) -> int | None:
        """None: the Job is done when any pod is."""
        stated = self.spec.get("completions")
        return None if stated is None else int(stated)

    @property
    def backoff_limit(self) -> int:
        return int(self.spec.get("backoffLimit", 6))

    @property
    def indexed(self) -> bool:
        return bool(self.spec.get("completionMode") == "Indexed")

    @property
    def per_index(self) -> int | None:
        """How often an index may fail; None: failures are counted over the whole Job."""
        stated = self.spec.get("backoffLimitPerIndex") if self.indexed else None
        return None if stated is None else int(stated)

    @property
    def policy(self) -> Obj | None:
        return self.spec.get("podFailurePolicy")

    @property
    def suspended(self) -> bool:
        return bool(self.spec.get("suspend"))

    @property
    def waits_for_the_end(self) -> bool:
        """A pod is replaced, and counts as failed, only when it has ended (KEP-3939)."""
        return bool(self.spec.get("podReplacementPolicy") == "Failed") or self.policy is not None

    @property
    def deleting(self) -> bool:
        return meta.deleting(self.job)

    @property
    def started(self) -> datetime | None:
        """Since when it has been active without a break: a start before a suspension is none."""
        stated = self.status.get("startTime")
        return parse_time(stated) if stated and not conditions.is_true(self.job, "Suspended") else None

    @property
    def active(self) -> tuple[Obj, ...]:
        return tuple(pod for pod in self.pods if pods.is_active(pod))

    @property
    def leaving(self) -> tuple[Obj, ...]:
        """Pods on their way out that have not ended."""
        return tuple(pod for pod in self.pods if meta.deleting(pod) and not pods.is_terminal(pod))

    @property
    def tracked(self) -> tuple[Obj, ...]:
        """Pods that were not let go yet."""
        return tuple(pod for pod in self.pods if is_tracked(pod))

    def failed(self, pod: Obj) -> bool:
        if pods.phase(pod) == "Failed":
            return True
        return not self.waits_for_the_end and meta.deleting(pod) and pods.phase(pod) != "Succeeded"

    def counts(self, pod: Obj) -> bool:
        """Whether a failed pod is a failure, as far as the policy goes."""
        return self.policy is None or failures.match(self.policy, pod).counts

    def belongs(self, pod: Obj) -> bool:
        """Whether the Job knows the pod's index, if it has such."""
        index = indexes.of_pod(pod)
        return not self.indexed or (index is not None and index < (self.completions or 0))


def is_tracked(pod: Obj) -> bool:
    return FINALIZER in meta.finalizers(pod)


def is_finished(job: Obj) -> bool:
    return conditions.is_true(job, "Complete") or conditions.is_true(job, "Failed")


def is_managed_elsewhere(job: Obj) -> bool:
    return bool(job["spec"].get("managedBy", CONTROLLER) != CONTROLLER)
