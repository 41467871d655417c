"""The `eviction` subresource: a deletion that asks the pod's disruption budget first.

A budget is taken at the word of its status, which a controller keeps up; one that the controller has not seen
yet allows nothing. The eviction is promised in the status before the pod goes: of two that come at the same
time the second one sees the first.
"""

from __future__ import annotations

from dataclasses import replace

from mini8s.objects import conditions, disruptions, meta, pods
from mini8s.objects.errors import ApiError, BadRequest, Cause, InternalError, TooManyRequests
from mini8s.objects.kinds import DISRUPTIONBUDGETS, PODS, Kind, Obj
from mini8s.objects.time import format_time
from mini8s.registry import incoming, refusals
from mini8s.registry.base import Context, DeleteOptions, ListOptions
from mini8s.registry.binding import SUCCESS
from mini8s.registry.delete import Deleter, check_preconditions
from mini8s.registry.read import Reader
from mini8s.registry.write import Writer
from mini8s.wire.codec import decode_json

EVICTION = Kind("policy", "v1", "Eviction", "evictions")
_OLD_VERSION = "policy/v1beta1"  # the same fields; old drainers send it, and upstream takes it
_SOON = 10  # seconds until a new budget has surely been seen
_MOST_PROMISES = 2000
_FREE = frozenset({"Succeeded", "Failed", "Pending"})  # phases in which a pod is of no use to anybody


class Evictor:
    def __init__(self, reader: Reader, writer: Writer, deleter: Deleter) -> None:
        self._reader = reader
        self._writer = writer
        self._deleter = deleter

    def evict(self, ctx: Context, namespace: str, name: str, sent: Obj) -> Obj:
        """Raises TooManyRequests when the budget does not allow it now."""
        if sent.get("apiVersion") == _OLD_VERSION:
            sent = sent | {"apiVersion": EVICTION.api_version}
        said = incoming.parse(ctx, EVICTION, sent)
        if meta.name(said) not in {"", name}:
            raise BadRequest("name in URL does not match name in Eviction object")
        asked = said.get("deleteOptions") or {}
        ctx = replace(ctx, dry_run=ctx.dry_run or "All" in (asked.get("dryRun") or ()))
        pod: Obj = decode_json(self._reader.row(PODS, namespace, name).value)
        if pods.phase(pod) not in _FREE and not meta.deleting(pod):
            self._promise(ctx, namespace, pod)
        options = _options(asked)
        if pods.is_active(pod):
            self._mark(ctx, namespace, name, options)
            options = replace(options, resource_version="")  # it was looked at, and has just changed
        self._deleter.delete(ctx, PODS, namespace, name, options)
        return dict(SUCCESS)

    def _mark(self, ctx: Context, namespace: str, name: str, options: DeleteOptions) -> None:
        """Say in the pod that it does not end by itself: Jobs need not count that."""

        def marked(pod: Obj) -> Obj:
            check_preconditions(PODS, pod, options)
            status = pod.get("status") or {}
            found = conditions.set_condition(
                status.get("conditions") or (),
                "DisruptionTarget",
                "True",
                reason="EvictionByEvictionAPI",
                message="Eviction API: evicting",
                now=ctx.now,
            )
            return pod | {"status": status | {"conditions": found}}

        self._writer.change(ctx, PODS, namespace, name, marked, "status")

    def _promise(self, ctx: Context, namespace: str, pod: Obj) -> None:
        budgets = self._list(DISRUPTIONBUDGETS, namespace)
        found = [meta.name(budget) for budget in budgets if disruptions.covers(budget, pod)]
        if len(found) > 1:
            why = "which the eviction subresource does not support."
            raise InternalError(f"This pod has more than one PodDisruptionBudget, {why}")
        for name in found:
            self._writer.change(
                ctx,
                DISRUPTIONBUDGETS,
                namespace,
                name,
                lambda budget: _promised(ctx, budget, pod),
                "status",
            )

    def _list(self, kind: Kind, namespace: str) -> list[Obj]:
        return [decode_json(value) for value in self._reader.list(kind, namespace, ListOptions()).items]


def _promised(ctx: Context, budget: Obj, pod: Obj) -> Obj:
    """The budget's status with this eviction in it; as it is when the pod needs no permission."""
    status, name = budget.get("status") or {}, meta.name(budget)
    if not pods.is_ready(pod) and _unhealthy_may_go(budget, status):
        return budget
    if status.get("observedGeneration", 0) < meta.generation(budget):
        why = f"The disruption budget {name} is still being processed by the server."
        raise _refused(why, retry_after=_SOON)
    allowed, known = status.get("disruptionsAllowed", 0), status.get("disruptedPods") or {}
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(known) > _MOST_PROMISES:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise _forbidden(name, why)
    if not allowed:
        raise _refused(_why(budget, status))
    promised = known | {meta.name(pod): format_time(ctx.now)}
    return budget | {"status": status | {"disruptedPods": promised, "disruptionsAllowed": allowed - 1}}


def _unhealthy_may_go(budget: Obj, status: Obj) -> bool:
    """A pod that is not ready disrupts nobody, as long as the others are enough."""
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    return bool(0 < status.get("desiredHealthy", 0) <= status.get("currentHealthy", 0))


def _why(budget: Obj, status: Obj) -> str:
    name, failed = meta.name(budget), conditions.get(budget, "DisruptionAllowed") or {}
    if failed.get("reason") == "SyncFailed":
        said = "does not allow evicting pods currently because it failed sync"
        return f"The disruption budget {name} {said}: {failed.get('message') or ''}"
    desired, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    return f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"


def _refused(why: str, *, retry_after: int = 0) -> ApiError:
    return TooManyRequests(
        "Cannot evict pod as it would violate the pod's disruption budget.",
        causes=[Cause("", why, "DisruptionBudget")],
        retry_after=retry_after,
    )


def _forbidden(name: str, why: str) -> ApiError:
    return refusals.forbidden(DISRUPTIONBUDGETS, name, why)


def _options(asked: Obj) -> DeleteOptions:
    conditions = asked.get("preconditions") or {}
    return DeleteOptions(
        grace_seconds=asked.get("gracePeriodSeconds"),
        propagation=asked.get("propagationPolicy") or "Background",
        uid=conditions.get("uid") or "",
        resource_version=conditions.get("resourceVersion") or "",
    )
