"""PodDisruptionBudget: how many of an application's pods may go by somebody's wish right now, kept up in its
status, which the eviction subresource goes by (`pkg/controller/disruption`).

A percentage is of the pods that there should be, by the scale of their controllers; of a pod whose controller
has no scale it means nothing, and the budget lets nobody go until that is mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mini8s.client.cache import Cache
from mini8s.controllers.actions import NORMAL, NOTHING, WARNING, Plan, Tell, Update
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import conditions, disruptions, intstr, kinds, meta, pods
from mini8s.objects.kinds import DEPLOYMENTS, DISRUPTIONBUDGETS, PODS, REPLICASETS, Kind, Obj
from mini8s.objects.time import parse_time

ALLOWED = "DisruptionAllowed"
PROMISED_FOR = timedelta(minutes=2)  # after this an eviction that was promised did not come
_SCALED = (DEPLOYMENTS, REPLICASETS, kinds.STATEFULSETS, kinds.REPLICATIONCONTROLLERS)


class NoScale(Exception):
    """It can't be said how many pods there should be."""


@dataclass(frozen=True, slots=True)
class View:
    """`expected`: how many pods their controllers want, or why that is not known; `unmanaged`: whether there
    are pods that have none."""

    budget: Obj
    pods: Sequence[Obj]
    expected: int | NoScale
    unmanaged: bool
    now: datetime

    @property
    def status(self) -> Obj:
        return self.budget.get("status") or {}


class DisruptionBudgets:
    name = "disruption"

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._budgets = context.cache(DISRUPTIONBUDGETS)
        self._pods = context.cache(PODS)
        self._owners = {kind: context.cache(kind) for kind in _SCALED}
        self.sources = (
            Source(DISRUPTIONBUDGETS, by_object(own_key)),
            Source(PODS, by_object(self._covering)),
            *(Source(kind, self._rescaled) for kind in _SCALED),
        )

    def plan(self, key: str) -> Plan:
        budget = self._budgets.get(*meta.split_key(key))
        if budget is None:
            return NOTHING
        found = [pod for pod in self._pods.list(meta.namespace(budget)) if disruptions.covers(budget, pod)]
        unmanaged = any(meta.controller_ref(pod) is None for pod in found)
        return plan(View(budget, found, _expected(found, self._owners), unmanaged, self._clock.now()))

    def _covering(self, pod: Obj) -> Iterable[str]:
        for budget in self._budgets.list(meta.namespace(pod)):
            if disruptions.covers(budget, pod):
                yield meta.key(budget)

    def _rescaled(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Of an owner only its size matters."""
        if old and new and old["spec"].get("replicas") == new["spec"].get("replicas"):
            return ()
        return map(meta.key, self._budgets.list(meta.namespace(new or old or {})))


def plan(view: View) -> Plan:
    promised, again = _promised(view)
    try:
        status = _status(view, promised)
    except NoScale as error:
        return _unknown(view, str(error))
    if status == view.status:
        return Plan((), again, _sentence(status))
    told = [*_late(view, promised)]
    if not view.pods:
        told.append(Tell(view.budget, NORMAL, "NoPods", "No matching pods found"))
    elif view.unmanaged and _is_relative(view.budget):
        told.append(Tell(view.budget, WARNING, "UnmanagedPods", _unmanaged(view.budget)))
    return Plan((_write(view, status), *told), again, _sentence(status))


def _status(view: View, promised: Mapping[str, str]) -> Obj:
    expected, desired = _wanted(view)
    healthy = sum(
        pods.is_ready(pod) and not meta.deleting(pod) and meta.name(pod) not in promised for pod in view.pods
    )
    allowed = max(0, healthy - desired) if expected > 0 else 0
    state, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    return {
        "observedGeneration": meta.generation(view.budget),
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
        "disruptionsAllowed": allowed,
        **({"disruptedPods": dict(promised)} if promised else {}),
        "conditions": _condition(view, state, reason, ""),
    }


def _wanted(view: View) -> tuple[int, int]:
    """Pods that there should be, and that must stay healthy."""
    spec = view.budget.get("spec") or {}
    most, least = spec.get("maxUnavailable"), spec.get("minAvailable", 1)
    if most is None and isinstance(least, int):
        return len(view.pods), least
    if isinstance(view.expected, NoScale):
        raise view.expected
    if most is None:
        return view.expected, intstr.resolve(least, view.expected, round_up=True)
    return view.expected, max(0, view.expected - intstr.resolve(most, view.expected, round_up=True))


def _is_relative(budget: Obj) -> bool:
    spec = budget.get("spec") or {}
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def _promised(view: View) -> tuple[dict[str, str], float | None]:
    """The evictions that are still to come, and when the first of them is overdue. A promise of what is the
    future by now was given just now."""
    kept, waits = {}, []
    for pod in view.pods:
        when = (view.status.get("disruptedPods") or {}).get(meta.name(pod))
        if when is None or meta.deleting(pod):
            continue
        left = PROMISED_FOR - max(timedelta(), view.now - parse_time(when))
        if left > timedelta():
            kept[meta.name(pod)] = when
            waits.append(left.total_seconds())
    return kept, min(waits, default=None)


def _late(view: View, promised: Mapping[str, str]) -> Iterable[Tell]:
    what = f"Pod was expected by PDB {meta.key(view.budget)} to be deleted but it wasn't"
    for pod in view.pods:
        was = meta.name(pod) in (view.status.get("disruptedPods") or {})
        if was and not meta.deleting(pod) and meta.name(pod) not in promised:
            yield Tell(pod, WARNING, "NotDeleted", what)


def _unknown(view: View, why: str) -> Plan:
    """Nobody goes while nobody knows (`failSafe`)."""
    status = view.status | {
        "disruptionsAllowed": 0,
        "observedGeneration": meta.generation(view.budget),
        "conditions": _condition(view, "False", "SyncFailed", why),
    }
    if status == view.status:
        return Plan(said=why)
    what = f"Failed to calculate the number of expected pods: {why}"
    told = Tell(view.budget, WARNING, "CalculateExpectedPodCountFailed", what)
    return Plan((_write(view, status), told), said=why)


def _condition(view: View, state: str, reason: str, message: str) -> list[Obj]:
    known = view.status.get("conditions") or ()
    made = conditions.set_condition(known, ALLOWED, state, reason=reason, message=message, now=view.now)
    seen = {"observedGeneration": meta.generation(view.budget)}
    return [item | seen if item["type"] == ALLOWED else item for item in made]


def _write(view: View, status: Obj) -> Update:
    """By compare-and-swap: an eviction may be promised at the same time."""
    return Update(DISRUPTIONBUDGETS, view.budget | {"status": status}, "status")


def _unmanaged(budget: Obj) -> str:
    selector = (budget.get("spec") or {}).get("selector")
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. "
        "As a result, the status of the PDB cannot be calculated correctly, which may result in undefined "
        "behavior. "
        'To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
    )


def _sentence(status: Obj) -> str:
    healthy, desired = status["currentHealthy"], status["desiredHealthy"]
    return f"{status['disruptionsAllowed']} may go: {healthy} healthy, {desired} needed"


def _expected(found: Iterable[Obj], owners: Mapping[Kind, Cache]) -> int | NoScale:
    """The pods that all controllers of these pods want together."""
    scales: dict[str, int] = {}
    for pod in found:
        ref = meta.controller_ref(pod)
        if ref is None or ref["uid"] in scales:
            continue
        owner = _owner(meta.namespace(pod), ref, owners)
        if isinstance(owner, str):
            return NoScale(owner or f'found no controllers for pod "{meta.name(pod)}"')
        scales[meta.uid(owner)] = int(owner["spec"].get("replicas", 1))
        scales.setdefault(ref["uid"], 0)
    return sum(scales.values())


def _owner(namespace: str, ref: Obj, owners: Mapping[Kind, Cache]) -> Obj | str:
    """Who says how many there should be: of a Deployment's ReplicaSet the Deployment. Else why not."""
    kind = kinds.by_kind(ref["apiVersion"], ref["kind"])
    if kind is None or kind not in owners:
        return f"{kind.resource} does not implement the scale subresource" if kind else ""
    found = owners[kind].get(namespace, ref["name"])
    if found is None or meta.uid(found) != ref["uid"]:
        return ""
    above = meta.controller_ref(found)
    return _owner(namespace, above, owners) if above and kind is REPLICASETS else found
