"""One cycle of a HorizontalPodAutoscaler: facts in, actions out (`horizontal.go: reconcileAutoscaler`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mini8s.controllers.actions import NORMAL, WARNING, Action, Patch, Plan, Tell, Update
from mini8s.controllers.kinds.autoscaler.demand import TOLERANCE, NoFigure, Tolerance
from mini8s.controllers.kinds.autoscaler.metrics import Facts, Judged, judge
from mini8s.controllers.kinds.autoscaler.pace import History, pace
from mini8s.objects import conditions, meta, quantity
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import AUTOSCALERS, Kind, Obj
from mini8s.objects.time import format_time

EVERY_SECONDS = 15.0  # --horizontal-pod-autoscaler-sync-period
ABLE, ACTIVE, LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


class NoTarget(Exception):
    """What is to be scaled is not there, or can't be."""


@dataclass(frozen=True, slots=True)
class View:
    """`target` is of kind `kind`; `rivals`: other autoscalers of the same pods; `at`: seconds of a clock that
    only rises."""

    autoscaler: Obj
    kind: Kind
    target: Obj
    facts: Facts
    rivals: Sequence[str]
    history: History
    at: float

    @property
    def now(self) -> datetime:
        return self.facts.now

    @property
    def spec(self) -> Obj:
        return dict(self.autoscaler["spec"])

    @property
    def least(self) -> int:
        return int(self.spec.get("minReplicas") or 1)

    @property
    def most(self) -> int:
        return int(self.spec["maxReplicas"])

    @property
    def current(self) -> int:
        return self.facts.replicas


@dataclass(slots=True)
class _Saying:
    """The status as it comes about, and the events."""

    autoscaler: Obj
    now: datetime
    conditions: list[Obj]
    events: list[Tell]

    def condition(self, type: str, status: bool, reason: str, message: str) -> None:
        state = "True" if status else "False"
        self.conditions = conditions.set_condition(
            self.conditions, type, state, reason=reason, message=message, now=self.now
        )

    def event(self, type: str, reason: str, message: str) -> None:
        self.events.append(Tell(self.autoscaler, type, reason, message))

    def status(self, current: int, desired: int, metrics: Sequence[Obj], *, scaled: bool = False) -> Obj:
        before = self.autoscaler.get("status") or {}
        last = format_time(self.now) if scaled else before.get("lastScaleTime")
        return {
            "currentReplicas": current,
            "desiredReplicas": desired,
            "conditions": self.conditions,
            **({"lastScaleTime": last} if last else {}),
            **({"currentMetrics": list(metrics)} if metrics else {}),
        }


def plan(view: View) -> tuple[Plan, History]:
    """What to do, and what to remember."""
    said = _saying(view.autoscaler, view.now)
    said.condition(
        ABLE, True, "SucceededGetScale", "the HPA controller was able to get the target's current scale"
    )
    history = view.history.seen(view.current)
    if not history.recommended:
        history = history.recommend(view.at, view.current)
    view = replace(view, history=history)
    if not view.current and view.least:
        why = "scaling is disabled since the replica count of the target is zero"
        said.condition(ACTIVE, False, "ScalingDisabled", why)
        return _rest(view, said, (), why), history
    if view.current > view.most:
        return _rescaled(view, said, view.most, "Current number of replicas above Spec.MaxReplicas", ())
    if view.current < view.least:
        return _rescaled(view, said, view.least, "Current number of replicas below Spec.MinReplicas", ())
    return _by_metrics(view, said)


def unscalable(autoscaler: Obj, why: NoTarget, now: datetime) -> Plan:
    """A target that is not there may come."""
    said = _saying(autoscaler, now)
    message = f"the HPA controller was unable to get the target's current scale: {why}"
    said.condition(ABLE, False, "FailedGetScale", message)
    said.event(WARNING, "FailedGetScale", str(why))
    status = autoscaler.get("status") or {}
    kept = said.status(
        status.get("currentReplicas", 0), status.get("desiredReplicas", 0), status.get("currentMetrics") or ()
    )
    return _told(autoscaler, said, kept, str(why))


def _by_metrics(view: View, said: _Saying) -> tuple[Plan, History]:
    if view.rivals:
        names = ", ".join(sorted([meta.key(view.autoscaler), *view.rivals]))
        why = f"pods by selector {_selector(view)} are controlled by multiple HPAs: [{names}]"
        said.condition(ACTIVE, False, "AmbiguousSelector", why)
        said.event(WARNING, "AmbiguousSelector", why)
        return _rest(view, said, (), why), view.history
    namespace, tolerance = meta.namespace(view.autoscaler), _tolerance(view.spec)
    judged = [judge(metric, view.facts, tolerance, namespace) for metric in view.spec.get("metrics") or ()]
    failures = [one.failure for one in judged if one.failure]
    for failure in failures:
        said.event(WARNING, failure.reason, str(failure))
    best = max((one for one in judged if not one.failure), key=lambda one: one.replicas, default=None)
    if best is None or (failures and best.replicas < view.current):
        return _failed(view, said, judged, failures), view.history
    what = f"the HPA was able to successfully calculate a replica count from {best.name}"
    said.condition(ACTIVE, True, "ValidMetricFound", what)
    return _followed(view, said, best, [one.status for one in judged])


def _failed(view: View, said: _Saying, judged: Sequence[Judged], failures: Sequence[NoFigure]) -> Plan:
    """All metrics failed, or one did that might have kept replicas that the others would take away."""
    first = failures[0]
    said.condition(ACTIVE, False, first.reason, f"the HPA was unable to compute the replica count: {first}")
    count = f"{len(failures)} invalid out of {len(judged)}"
    why = f"invalid metrics ({count}), first error is: {first.wrapped}"
    said.event(WARNING, "FailedComputeMetricsReplicas", why)
    return _rest(view, said, [one.status for one in judged if one.status], why)


def _followed(view: View, said: _Saying, best: Judged, statuses: Sequence[Obj]) -> tuple[Plan, History]:
    found = pace(view.spec, view.history, view.current, best.replicas, view.at)
    said.condition(ABLE, True, *found.able)
    said.condition(LIMITED, found.is_limited, *found.limited)
    view = replace(view, history=view.history.recommend(view.at, best.replicas))
    if found.replicas == view.current:
        return _rest(view, said, statuses, f"{view.current} replicas, as {best.name} asks"), view.history
    above = best.replicas > view.current
    why = f"{best.name} above target" if above else "All metrics below target"
    return _rescaled(view, said, found.replicas, why, statuses)


def _rescaled(
    view: View, said: _Saying, size: int, why: str, statuses: Sequence[Obj]
) -> tuple[Plan, History]:
    refused = replace(said)

    def otherwise(error: ApiError) -> tuple[Action, ...]:
        what = f"the HPA controller was unable to update the target scale: {error}"
        refused.condition(ABLE, False, "FailedUpdateScale", what)
        told = f"New size: {size}; reason: {why}; error: {error}"
        status = refused.status(view.current, view.current, statuses)
        return (
            Tell(view.autoscaler, WARNING, "FailedRescale", told),
            *_written(view.autoscaler, status),
        )

    target, subresource = view.target, "scale"
    scale = Patch(
        view.kind,
        meta.namespace(target),
        meta.name(target),
        meta.uid(target),
        {"spec": {"replicas": size}},
        subresource=subresource,
        otherwise=otherwise,
    )
    what = f"the HPA controller was able to update the target scale to {size}"
    said.condition(ABLE, True, "SucceededRescale", what)
    said.event(NORMAL, "SuccessfulRescale", f"New size: {size}; reason: {why}")
    status = said.status(view.current, size, statuses, scaled=True)
    actions: tuple[Action, ...] = (scale, *said.events, *_written(view.autoscaler, status))
    sentence = f"from {view.current} to {size} replicas: {why}"
    return Plan(actions, EVERY_SECONDS, sentence), view.history.change(view.at, view.current, size)


def _rest(view: View, said: _Saying, statuses: Sequence[Obj], sentence: str) -> Plan:
    desired = view.current
    return _told(view.autoscaler, said, said.status(view.current, desired, statuses), sentence)


def _told(autoscaler: Obj, said: _Saying, status: Obj, sentence: str) -> Plan:
    return Plan((*said.events, *_written(autoscaler, status)), EVERY_SECONDS, sentence)


def _written(autoscaler: Obj, status: Obj) -> tuple[Update, ...]:
    if status == autoscaler.get("status"):
        return ()
    return (Update(AUTOSCALERS, autoscaler | {"status": status}, "status"),)


def _saying(autoscaler: Obj, now: datetime) -> _Saying:
    known = (autoscaler.get("status") or {}).get("conditions") or ()
    return _Saying(autoscaler, now, list(known), [])


def _tolerance(spec: Obj) -> Tolerance:
    """KEP-4951: a tolerance of its own for each direction."""
    rules = spec.get("behavior") or {}
    stated = [(rules.get(way) or {}).get("tolerance") for way in ("scaleUp", "scaleDown")]
    up, down = (TOLERANCE if value is None else float(quantity.parse(value)) for value in stated)
    return Tolerance(up, down)


def _selector(view: View) -> str:
    return str((view.target["spec"].get("selector") or {}).get("matchLabels") or {})
