"""What a DaemonSet watches: itself, its pods, its revisions, and what of the nodes decides who runs where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mini8s.controllers import history
from mini8s.controllers.actions import NOTHING, WARNING, Plan, Tell
from mini8s.controllers.base import Context, Source, by_object, controller_key, own_key
from mini8s.controllers.claims import INDEXERS, claim, confirm, matching_owners, selector_of
from mini8s.controllers.kinds.daemonset.failures import Failures
from mini8s.controllers.kinds.daemonset.placing import fit, target
from mini8s.controllers.kinds.daemonset.plan import plan
from mini8s.controllers.kinds.daemonset.presence import failed_nodes, presence
from mini8s.controllers.kinds.daemonset.view import View
from mini8s.objects import meta, pods
from mini8s.objects.kinds import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS, Obj


class DaemonSets:
    name = "daemonset"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sets = context.cache(DAEMONSETS)
        self._pods = context.cache(PODS, INDEXERS)
        self._revisions = context.cache(CONTROLLERREVISIONS, INDEXERS)
        self._nodes = context.cache(NODES)
        self._failures = Failures()
        self.sources = (
            Source(DAEMONSETS, by_object(own_key)),
            Source(PODS, by_object(self._keys)),
            Source(CONTROLLERREVISIONS, by_object(controller_key(DAEMONSETS))),
            Source(NODES, self._node_changed),
        )

    def plan(self, key: str) -> Plan:
        owner = self._sets.get(*meta.split_key(key))
        if owner is None:
            self._failures.forget(key)
            return NOTHING
        if meta.deleting(owner):
            return NOTHING
        if selector_of(owner).empty:
            what = "This daemon set is selecting all pods. A non-empty selector is required."
            return Plan((Tell(owner, WARNING, "SelectingAll", what),), said=what)
        mine, known = claim(owner, self._pods), claim(owner, self._revisions)
        if mine.adopted or known.adopted:
            confirm(self._context.api, DAEMONSETS, owner)
        patches = (
            *known.patches(owner, DAEMONSETS, CONTROLLERREVISIONS),
            *mine.patches(owner, DAEMONSETS, PODS),
        )
        if patches:
            return Plan(patches)  # the news of them brings the key back, with references as they are then
        step = history.recorded(owner, DAEMONSETS, known.mine, label=history.HASH)
        if step.update is None:
            return Plan(step.actions)
        return self._planned(owner, mine.mine, known.mine, step.update)

    def _planned(self, owner: Obj, mine: tuple[Obj, ...], revisions: tuple[Obj, ...], update: Obj) -> Plan:
        key, tick = meta.key(owner), self._context.clock.monotonic()
        held = self._failures.waiting(key, tick)
        there: dict[str, list[Obj]] = {}
        for pod in mine:
            gone = meta.deleting(pod) and pods.is_terminal(pod)  # its place is free
            if not gone and (node := target(pod)):
                there.setdefault(node, []).append(pod)
        fits = {meta.name(node): fit(owner, node) for node in self._nodes.list()}
        view = View(owner, fits, there, update, held, self._context.clock.now())
        made = plan(view, revisions, burst=self._context.settings.burst_replicas)
        for node in failed_nodes(presence(view)):
            self._failures.note(key, node, tick)
        waits = [left for left in (made.again_after, *held.values()) if left is not None]
        return replace(made, again_after=min(waits, default=None))

    def _keys(self, pod: Obj) -> Iterable[str]:
        if meta.controller_ref(pod):
            return controller_key(DAEMONSETS)(pod)
        return () if meta.deleting(pod) else matching_owners(pod, self._sets)

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        if old is not None and new is not None and _decisive(old) == _decisive(new):
            return ()
        return [meta.key(owner) for owner in self._sets.list()]


def _decisive(node: Obj) -> tuple[object, ...]:
    return meta.labels(node), node["spec"].get("taints")
