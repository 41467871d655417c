"""One cycle of a DaemonSet: facts in, actions out (`daemon_controller.go: updateDaemonSet`)."""

from __future__ import annotations

from mini8s.controllers import history
from mini8s.controllers.actions import (
    NORMAL,
    WARNING,
    Action,
    Burst,
    Create,
    Delete,
    Plan,
    Tell,
    delete,
    patch_status,
)
from mini8s.controllers.kinds.daemonset.placing import hash_of, new_pod
from mini8s.controllers.kinds.daemonset.presence import Round, presence
from mini8s.controllers.kinds.daemonset.rolling import rolling
from mini8s.controllers.kinds.daemonset.status import counted
from mini8s.controllers.kinds.daemonset.view import View
from mini8s.objects import meta, pods
from mini8s.objects.kinds import DAEMONSETS, PODS, Obj


def plan(view: View, revisions: tuple[Obj, ...], *, burst: int) -> Plan:
    """Where pods are missing or too many comes first; an update goes on when that is settled."""
    found = presence(view)
    changes = _changes(view, found)
    if not changes:
        changes = _changes(view, rolling(view))
    said = counted(view)
    actions: tuple[Action, ...] = (
        *patch_status(DAEMONSETS, view.obj, said),
        *(_told(view, pod) for pod in found.ended),
        *((Burst(changes[:burst]),) if changes else ()),
        *_forgotten(view, revisions),
    )
    there = [pod for found in view.pods.values() for pod in found]
    return Plan(
        actions,
        pods.soonest_available(there, view.min_ready_seconds, view.now),
        f"{said['currentNumberScheduled']} of {said['desiredNumberScheduled']} nodes have a pod, "
        f"{said.get('numberAvailable', 0)} available, {said.get('updatedNumberScheduled', 0)} up to date",
    )


def _changes(view: View, found: Round) -> tuple[Create | Delete, ...]:
    return (
        *(Create(PODS, new_pod(view.obj, view.update, node), owner=view.obj) for node in found.nodes),
        *(delete(PODS, pod, owner=view.obj) for pod in found.gone),
    )


def _told(view: View, pod: Obj) -> Tell:
    what = f"daemon pod {meta.key(pod)} on node {pods.node_name(pod)}, will try to"
    if pods.phase(pod) == "Failed":
        return Tell(view.obj, WARNING, "FailedDaemonPod", f"Found failed {what} kill it")
    return Tell(view.obj, NORMAL, "SucceededDaemonPod", f"Found succeeded {what} delete it")


def _forgotten(view: View, revisions: tuple[Obj, ...]) -> tuple[Delete, ...]:
    used = {meta.labels(pod).get(history.HASH) for there in view.pods.values() for pod in there}
    live = {meta.name(one) for one in revisions if hash_of(one) in used} | {meta.name(view.update)}
    return tuple(history.surplus(revisions, live, view.obj["spec"].get("revisionHistoryLimit")))
