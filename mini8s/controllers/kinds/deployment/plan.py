"""One cycle of a Deployment: facts in, actions out (`deployment_controller.go: syncDeployment`)."""

from __future__ import annotations

from dataclasses import replace

from mini8s.controllers.actions import (
    NORMAL,
    WARNING,
    Action,
    Create,
    Patch,
    Plan,
    Tell,
    delete,
    patch,
    patch_status,
)
from mini8s.controllers.kinds.deployment import revision, status
from mini8s.controllers.kinds.deployment.rolling import (
    initial_size,
    old_pods_remain,
    recreate_step,
    rolling_step,
)
from mini8s.controllers.kinds.deployment.scale import is_scaling, scaled
from mini8s.controllers.kinds.deployment.view import Sized, View, count
from mini8s.objects import meta
from mini8s.objects.errors import AlreadyExists, ApiError
from mini8s.objects.kinds import DEPLOYMENTS, REPLICASETS, Obj


def plan(view: View) -> Plan:
    """One step: numbering first, then sizes or a new ReplicaSet, clean-up, and what to say about it all."""
    if meta.deleting(view.obj):
        return _outcome(view, status.counted(view, view.status), ())
    known = status.pausing(view, view.status)
    number, renewed = _numbering(view)
    if view.paused or is_scaling(view):
        after = scaled(view)
        cleaned = _cleaned(view) if view.paused else ()
        actions = (*renewed, *number, *_resized(view, after), *cleaned)
        return _outcome(view, status.counted(view, known), actions)
    if view.new is None and (view.rolling or not (_old_sizes(view) or old_pods_remain(view))):
        return _with_new_set(view, known, revision.next_revision(one.obj for one in view.old))
    known = _found(view, known)
    after = rolling_step(view) if view.rolling else recreate_step(view)
    said = status.rolled(view, known)
    done = after == view and status.complete(view, said)
    actions = (*renewed, *number, *_resized(view, after), *(_cleaned(view) if done else ()))
    return _outcome(view, said, actions)


def _old_sizes(view: View) -> bool:
    return any(one.replicas for one in view.old)


def _numbering(view: View) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """The patches of the Deployment's own number, and of the new ReplicaSet's."""
    change = revision.renewal(view)
    if view.new is None:
        return (), ()
    renewed = (patch(REPLICASETS, view.new.obj, change),) if change else ()
    told = ((change.get("metadata") or {}).get("annotations") or {}).get(revision.REVISION)
    wanted = told or str(revision.revision(view.new.obj))
    return _numbered(view, wanted), renewed


def _numbered(view: View, number: str) -> tuple[Patch, ...]:
    if meta.annotations(view.obj).get(revision.REVISION) == number:
        return ()
    return (patch(DEPLOYMENTS, view.obj, {"metadata": {"annotations": {revision.REVISION: number}}}),)


def _found(view: View, known: Obj) -> Obj:
    """An adopted or restored ReplicaSet is progress too."""
    if view.new is None or view.deadline is None or _progress(known):
        return known
    what = f'Found new replica set "{view.new.name}"'
    return status.with_progress(known, "True", "FoundNewReplicaSet", what, view.now)


def _progress(known: Obj) -> bool:
    return any(item["type"] == status.PROGRESSING for item in known.get("conditions") or ())


def _with_new_set(view: View, known: Obj, number: int) -> Plan:
    size = initial_size(view)
    made = revision.new_set(view, number)
    made["spec"]["replicas"] = size
    name = meta.name(made)
    create = Create(REPLICASETS, made, otherwise=lambda error: _refused(view, known, name, error))
    if view.deadline is not None:
        what = f'Created new replica set "{name}"'
        known = status.with_progress(known, "True", "NewReplicaSetCreated", what, view.now)
    grown = (_scaling(view, name, 0, size),) if size else ()
    after = replace(view, new=Sized(made, size))
    return _outcome(after, status.rolled(after, known), (create, *grown, *_numbered(view, str(number))))


def _refused(view: View, known: Obj, name: str, error: ApiError) -> tuple[Action, ...]:
    """A name that another template has means a new name; anything else is a condition and an event."""
    if isinstance(error, AlreadyExists):
        taken = {"collisionCount": (view.status.get("collisionCount") or 0) + 1}
        return patch_status(DEPLOYMENTS, view.obj, view.status | taken)
    what = f'Failed to create new replica set "{name}": {error}'
    if view.deadline is not None:
        known = status.with_progress(known, "False", "ReplicaSetCreateError", what, view.now)
    return (
        Tell(view.obj, WARNING, "ReplicaSetCreateError", what),
        *patch_status(DEPLOYMENTS, view.obj, known),
    )


def _resized(view: View, after: View) -> tuple[Action, ...]:
    """The patches that give the ReplicaSets their sizes, and the events that say so."""
    actions: list[Action] = []
    for one in after.all:
        told = {
            key: value
            for key, value in revision.sizes(view).items()
            if meta.annotations(one.obj).get(key) != value
        }
        if one.replicas != one.is_at:
            actions += (_resize(one, told), _scaling(view, one.name, one.is_at, one.replicas))
        elif told and one.replicas:
            actions.append(_resize(one, told))
    return tuple(actions)


def _resize(one: Sized, told: dict[str, str]) -> Patch:
    change: Obj = {"spec": {"replicas": one.replicas}} if one.replicas != one.is_at else {}
    if told:
        change["metadata"] = {"annotations": told}
    return patch(REPLICASETS, one.obj, change)


def _scaling(view: View, name: str, before: int, after: int) -> Tell:
    direction = "up" if after > before else "down"
    what = f"Scaled {direction} replica set {name} from {before} to {after}"
    return Tell(view.obj, NORMAL, "ScalingReplicaSet", what)


def _cleaned(view: View) -> tuple[Action, ...]:
    """Old, empty ReplicaSets beyond the history limit go, the lowest revisions first."""
    limit = view.obj["spec"].get("revisionHistoryLimit")
    if limit is None:
        return ()
    kept = [one for one in view.old if not meta.deleting(one.obj)]
    surplus = max(0, len(kept) - int(limit))
    lowest = sorted(kept, key=lambda one: revision.revision(one.obj))[:surplus]
    return tuple(delete(REPLICASETS, one.obj) for one in lowest if _empty(one))


def _empty(one: Sized) -> bool:
    seen = one.of("observedGeneration") >= meta.generation(one.obj)
    return seen and not one.replicas and not one.is_at and not one.of("replicas")


def _outcome(view: View, said: Obj, actions: tuple[Action, ...]) -> Plan:
    sentence = (
        f"{count(view.all, 'availableReplicas')} of {view.replicas} available, "
        f"{view.new.of('replicas') if view.new else 0} up to date" + (", paused" if view.paused else "")
    )
    return Plan(
        (*actions, *patch_status(DEPLOYMENTS, view.obj, said)), status.look_again(view, said), sentence
    )
