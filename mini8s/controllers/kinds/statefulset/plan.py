"""One cycle of a StatefulSet: facts in, actions out (`stateful_set_control.go: updateStatefulSet`).

Pods that end are deleted and made again, missing ones made, surplus ones deleted from the top, and only when
all that is at rest are old ones replaced. In order, each step waits for the pods below to be available.
"""

from __future__ import annotations

from mini8s.controllers import history
from mini8s.controllers.actions import (
    WARNING,
    Action,
    Burst,
    Create,
    Delete,
    Patch,
    Plan,
    Tell,
    Words,
    delete,
    patch,
    patch_status,
)
from mini8s.controllers.kinds.statefulset import identity, storage
from mini8s.controllers.kinds.statefulset.rolling import outdated
from mini8s.controllers.kinds.statefulset.status import counted
from mini8s.controllers.kinds.statefulset.view import View, revision_name
from mini8s.objects import meta, pods
from mini8s.objects.kinds import PODS, STATEFULSETS, Obj


def plan(view: View, revisions: tuple[Obj, ...], *, burst: int) -> Plan:
    """`burst`: how many pods may come or go in one round."""
    said = counted(view)
    steps = _Steps(view, burst)
    if not meta.deleting(view.obj):
        steps.take()
    sentence = f"{len(view.pods)} of {len(view.numbers)} pods, {said['availableReplicas']} available"
    return Plan(
        (*patch_status(STATEFULSETS, view.obj, said), *steps.actions(), *_forgotten(view, said, revisions)),
        pods.soonest_available(view.pods.values(), view.min_ready_seconds, view.now),
        sentence + (f", waits for {steps.waits}" if steps.waits else ""),
    )


class _Steps:
    """What is found to be done, in the order in which it must be. `waits`: what stopped it."""

    def __init__(self, view: View, burst: int) -> None:
        self.waits = ""
        self._view, self._burst = view, burst
        self._claims: list[Create] = []
        self._patches: list[Patch] = []
        self._pods: list[Create | Delete] = []
        self._told: list[Tell] = []

    def actions(self) -> tuple[Action, ...]:
        groups = (self._claims, self._pods[: self._burst])
        claims, changes = ((Burst(tuple(group)),) if group else () for group in groups)
        return (*claims, *self._patches, *changes, *self._told)

    def take(self) -> None:
        """Each of the numbers, then those beyond, then old revisions; the first that blocks ends it, and so
        does a full round, however many more there shall be."""
        view, blocked = self._view, False
        for number in self._until_blocked():
            blocked = self._replica(number) or blocked
            if len(self._pods) == self._burst:
                return
        if blocked:
            return
        for number in view.condemned:
            self._patches += storage.owned(view.obj, number, view.pods[number], view.claims)
        if self._condemned() or self._pods:
            return
        for number in outdated(view):
            self._delete(number)

    def _until_blocked(self) -> range:
        """In order, nobody is looked at behind the first that is not available."""
        view = self._view
        if not view.ordered:
            return view.numbers
        fine = 0
        for number in view.numbers:
            if not view.healthy(view.pods.get(number)):
                break
            fine += 1
        return view.numbers[: fine + 1]

    def _replica(self, number: int) -> bool:
        """Bring one to be as it should; whether all after it must wait."""
        view = self._view
        pod = view.pods.get(number)
        if pod is None:
            return self._missing(number) or view.ordered
        if pods.is_terminal(pod):
            if not meta.deleting(pod):
                self._delete(number)
            return self._wait(number)
        if pods.phase(pod) in {"", "Pending"} and not meta.deleting(pod):
            self._claims += storage.missing(view.obj, number, view.claims)
        if view.ordered and not view.healthy(pod):
            return self._wait(number)
        self._patches += _identified(view.obj, number, pod)
        self._patches += storage.owned(view.obj, number, pod, view.claims)
        return False

    def _missing(self, number: int) -> bool:
        view = self._view
        words = _words("create", view.obj, number)
        if claim := storage.in_the_way(view.obj, number, view.claims):
            self.waits = self.waits or f"the end of claim {claim}"
            what = f"{words.failed}pvc {claim} is being deleted"
            self._told.append(Tell(view.obj, WARNING, "FailedCreate", what))
            return True
        self._claims += storage.missing(view.obj, number, view.claims)
        made = identity.new_pod(view.obj, view.revision_for(number), number)
        self._pods.append(Create(PODS, made, owner=view.obj, words=words))
        return False

    def _condemned(self) -> bool:
        """In order: one at a time, the highest first, and no other while one is not well but itself."""
        view = self._view
        lowest_ill = min((n for n in view.condemned if not view.healthy(view.pods[n])), default=None)
        for number in view.condemned:
            pod = view.pods[number]
            if meta.deleting(pod):
                if view.ordered:
                    return self._wait(number)
                continue
            if view.ordered and not view.available(pod) and number != lowest_ill:
                return self._wait(lowest_ill if lowest_ill is not None else number)
            self._delete(number)
            if view.ordered:
                return True
        return False

    def _delete(self, number: int) -> None:
        view = self._view
        words = _words("delete", view.obj, number)
        self._pods.append(delete(PODS, view.pods[number], owner=view.obj, words=words))

    def _wait(self, number: int) -> bool:
        self.waits = self.waits or identity.name(self._view.obj, number)
        return True


def _identified(owner: Obj, number: int, pod: Obj) -> tuple[Patch, ...]:
    wanted = identity.labels(owner, number)
    if wanted.items() <= meta.labels(pod).items():
        return ()
    return (patch(PODS, pod, {"metadata": {"labels": wanted}}),)


def _forgotten(view: View, said: Obj, revisions: tuple[Obj, ...]) -> tuple[Delete, ...]:
    live = {said["currentRevision"], said["updateRevision"], meta.name(view.current)}
    live |= {revision_name(pod) for pod in view.pods.values()}
    return tuple(history.surplus(revisions, live, view.obj["spec"].get("revisionHistoryLimit")))


def _words(verb: str, owner: Obj, number: int) -> Words:
    what = f"{verb} Pod {identity.name(owner, number)} in StatefulSet {meta.name(owner)}"
    return Words(f"{what} successful", f"{what} failed error: ")
