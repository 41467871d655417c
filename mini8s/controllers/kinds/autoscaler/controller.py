"""What an autoscaler goes by: its target's size, the pods that the target selects and what they use. All of
it is asked for every 15 seconds; a change of its spec is looked at at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from mini8s.controllers.actions import NOTHING, Plan
from mini8s.controllers.base import Context, Source
from mini8s.controllers.kinds.autoscaler.metrics import Facts
from mini8s.controllers.kinds.autoscaler.pace import History
from mini8s.controllers.kinds.autoscaler.plan import NoTarget, View, plan, unscalable
from mini8s.objects import kinds, labels, meta
from mini8s.objects.errors import ApiError, NotFound
from mini8s.objects.kinds import AUTOSCALERS, PODMETRICS, PODS, REPLICATIONCONTROLLERS, Kind, Obj

_NOTHING_YET = History()


class Autoscalers:
    name = "horizontalpodautoscaler"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._autoscalers = context.cache(AUTOSCALERS)
        self._pods = context.cache(PODS)
        self._histories: dict[str, History] = {}
        self.sources = (Source(AUTOSCALERS, _changed),)

    def plan(self, key: str) -> Plan:
        autoscaler = self._autoscalers.get(*meta.split_key(key))
        if autoscaler is None:
            self._histories.pop(key, None)
            return NOTHING
        now = self._context.clock.now()
        try:
            kind, target = self._target(autoscaler)
        except NoTarget as why:
            return unscalable(autoscaler, why, now)
        selector = _selector(kind, target)
        space = meta.namespace(autoscaler)
        measured = cache(lambda: self._measured(space, selector))  # asked for once, and only when it matters
        replicas = int(target["spec"].get("replicas", 1))
        facts = Facts(self._pods.list(space, selector), measured, replicas, now)
        done, self._histories[key] = plan(
            View(
                autoscaler,
                kind,
                target,
                facts,
                self._rivals(autoscaler),
                self._histories.get(key, _NOTHING_YET),
                self._context.clock.monotonic(),
            )
        )
        return done

    def _target(self, autoscaler: Obj) -> tuple[Kind, Obj]:
        ref = autoscaler["spec"]["scaleTargetRef"]
        kind = kinds.by_kind(ref.get("apiVersion") or "v1", ref["kind"])
        if kind is None:
            what = f'no matches for kind "{ref["kind"]}" in version "{ref.get("apiVersion") or "v1"}"'
            raise NoTarget(f"unable to determine resource for scale target reference: {what}")
        if "scale" not in kind.subresources:
            raise NoTarget("the server could not find the requested resource")
        try:
            return kind, self._context.api.get(kind, meta.namespace(autoscaler), ref["name"])
        except NotFound as error:
            raise NoTarget(str(error)) from None

    def _measured(self, namespace: str, selector: labels.Selector) -> Sequence[Obj]:
        try:
            return self._context.api.list(PODMETRICS, namespace, labels=str(selector)).items
        except ApiError as error:
            raise ValueError(f"unable to fetch metrics from resource metrics API: {error}") from None

    def _rivals(self, autoscaler: Obj) -> Sequence[str]:
        """Autoscalers of the same target. (Two targets that share pods fight over those anyway.)"""
        target = _aim(autoscaler)
        return [
            meta.key(other)
            for other in self._autoscalers.list(meta.namespace(autoscaler))
            if _aim(other) == target and meta.name(other) != meta.name(autoscaler)
        ]


def _aim(autoscaler: Obj) -> tuple[str, str, str]:
    ref = autoscaler["spec"]["scaleTargetRef"]
    return ref.get("apiVersion") or "", ref["kind"], ref["name"]


def _selector(kind: Kind, target: Obj) -> labels.Selector:
    stated = target["spec"].get("selector")
    return (
        labels.from_labels(stated or {})
        if kind is REPLICATIONCONTROLLERS
        else labels.from_label_selector(stated)
    )


def _changed(old: Obj | None, new: Obj | None) -> Iterable[str]:
    """Not its status: that changes with each figure."""
    if old and new and old["spec"] == new["spec"]:
        return ()
    return (meta.key(new or old or {}),)
