"""What is done about a pod that fits nowhere: others make room for it, or its status and an event say why."""

from __future__ import annotations

import logging
from dataclasses import replace

from mini8s.client.base import Api, EventSink
from mini8s.client.informer import Informers
from mini8s.objects import conditions, kinds, meta
from mini8s.objects.errors import ApiError, NotFound
from mini8s.objects.kinds import Obj
from mini8s.objects.labels import from_label_selector
from mini8s.scheduler.base import PodFacts, Refused
from mini8s.scheduler.board import Board
from mini8s.scheduler.preempt import Budget, Unhelpful, Victims, preempt
from mini8s.scheduler.profiles import Profile
from mini8s.util.clock import Clock

log = logging.getLogger(__name__)

DISRUPTION = "DisruptionTarget"


class Refusing:
    """Writes what it decides at once, in the cycle's thread: pods are seldom refused for the first time."""

    def __init__(self, api: Api, informers: Informers, events: EventSink, clock: Clock, board: Board) -> None:
        self._api, self._events, self._clock, self._board = api, events, clock, board
        self._pods = informers.of(kinds.PODS)
        self._budgets = informers.of(kinds.DISRUPTIONBUDGETS)
        self._looked_at = -1  # the board's moves until then
        self._unhelpful: dict[str, Unhelpful] = {}  # by what pods are, since nothing moved

    def refuse(self, pod: PodFacts, refused: Refused, profile: Profile) -> Refused:
        """Make room if others have to give way, and say so; what was said."""
        outcome = self._room(pod, profile) if refused.reasons else None
        if isinstance(outcome, Unhelpful):
            refused = replace(refused, preemption=str(outcome))
        node = outcome.node if isinstance(outcome, Victims) else ""
        self._events.event(reference(pod), "Warning", "FailedScheduling", str(refused))
        self._tell(pod, refused, node or (pod.nominated if outcome is None else ""))
        if isinstance(outcome, Victims):
            self._board.nominate(pod, outcome.node)
            for victim in outcome.pods:
                self._remove(victim, pod, outcome.node)
        return refused

    def _room(self, pod: PodFacts, profile: Profile) -> Victims | Unhelpful | None:
        """Who has to give way. That nobody can is found once for all pods that are alike."""
        if self._looked_at != self._board.at:
            self._looked_at = self._board.at
            self._unhelpful.clear()
        own = pod.claims or pod.nominated
        alike = "" if own else repr((pod.scheduler, pod.shape, sorted(pod.labels.items())))
        if alike in self._unhelpful:
            return self._unhelpful[alike]
        outcome = preempt(pod, self._board, profile, self._spare())
        if alike and isinstance(outcome, Unhelpful):
            self._unhelpful[alike] = outcome
        return outcome

    def _tell(self, pod: PodFacts, refused: Refused, nominated: str) -> None:
        current = self._pods.cache.get(pod.namespace, pod.name)
        if current is None:
            return
        status = current.get("status") or {}
        why = ("Unschedulable", str(refused), self._clock.now())
        wanted = conditions.set_condition(status.get("conditions") or (), "PodScheduled", "False", *why)
        if wanted == status.get("conditions") and nominated == (status.get("nominatedNodeName") or ""):
            return
        change: Obj = {"conditions": wanted, "nominatedNodeName": nominated or None}
        try:
            patch = {"metadata": {"uid": pod.uid}, "status": change}
            self._api.patch_status(kinds.PODS, pod.namespace, pod.name, patch)
        except ApiError as error:
            log.info("%s: its condition was not written: %s", pod.key, error)

    def _remove(self, victim: PodFacts, pod: PodFacts, node: str) -> None:
        """Its condition first: whoever sees it end shall know why."""
        current = self._pods.cache.get(victim.namespace, victim.name)
        if current is None or meta.deleting(current) or meta.uid(current) != victim.uid:
            return
        message = f"{pod.scheduler}: preempting to accommodate a higher priority pod"
        why = ("PreemptionByScheduler", message, self._clock.now())
        there = (current.get("status") or {}).get("conditions") or ()
        wanted = conditions.set_condition(there, DISRUPTION, "True", *why)
        try:
            patch = {"metadata": {"uid": victim.uid}, "status": {"conditions": wanted}}
            self._api.patch_status(kinds.PODS, victim.namespace, victim.name, patch)
            self._api.delete(kinds.PODS, victim.namespace, victim.name, uid=victim.uid)
        except NotFound:
            return
        except ApiError as error:
            log.warning("%s was not preempted: %s", victim.key, error)
            return
        said = f"Preempted by pod {pod.uid} on node {node}"
        self._events.event(reference(victim), "Normal", "Preempted", said)

    def _spare(self) -> list[Budget]:
        return [
            Budget(
                meta.namespace(one),
                from_label_selector((one.get("spec") or {}).get("selector")),
                (one.get("status") or {}).get("disruptionsAllowed") or 0,
            )
            for one in self._budgets.cache.list()
        ]


def reference(pod: PodFacts) -> Obj:
    """Enough of the object for an event about it."""
    metadata = {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
