"""Why a workload has fewer pods than it wants, or pods that are not as it wants them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mini8s.cli.causes.base import Cause, World, count, ended, said, title
from mini8s.cli.causes.nodes import node
from mini8s.cli.causes.pods import pod
from mini8s.objects import conditions, meta, pods
from mini8s.objects.kinds import NODES, PODS, REPLICASETS, Kind, Obj

ON_ITS_WAY = "its controller has not seen its newest change yet"


def deployment(world: World, obj: Obj) -> Cause:
    if early := _early(obj):
        return early
    wanted, status = obj["spec"].get("replicas", 1), obj.get("status") or {}
    available, updated = status.get("availableReplicas", 0), status.get("updatedReplicas", 0)
    behind = [cause for one in _owned(world, REPLICASETS, obj) if not (cause := replicas(world, one)).well]
    if obj["spec"].get("paused") and updated < wanted:
        return Cause(title(obj), "its rollout is paused: resume it to go on", behind)
    failed = conditions.get(obj, "ReplicaFailure") or {}
    if failed.get("status") == "True":
        return Cause(title(obj), f"pods can't be made: {ended(failed.get('message') or '')}", behind)
    stuck = conditions.get(obj, "Progressing") or {}
    if stuck.get("reason") == "ProgressDeadlineExceeded":
        return Cause(
            title(obj), f"its rollout has come no further for too long: {ended(stuck['message'])}", behind
        )
    if available < wanted:
        return Cause(title(obj), f"{available} of {wanted} replicas {_is(available)} available", behind)
    if updated < wanted or status.get("replicas", 0) > updated:
        old = status.get("replicas", 0) - updated
        return Cause(title(obj), f"its rollout goes on: {updated} of {wanted} are new, {old} old", behind)
    return Cause(title(obj), _all(wanted, "replica"), well=True)


def replicas(world: World, obj: Obj) -> Cause:
    """A ReplicaSet or ReplicationController."""
    wanted, status = obj["spec"].get("replicas", 1), obj.get("status") or {}
    failed = conditions.get(obj, "ReplicaFailure") or {}
    if failed.get("status") == "True":
        return Cause(title(obj), f"pods can't be made: {ended(failed.get('message') or '')}")
    if early := _early(obj):
        return early
    return _pods(world, obj, wanted, status.get("availableReplicas", 0))


def stateful_set(world: World, obj: Obj) -> Cause:
    if early := _early(obj):
        return early
    wanted, status = obj["spec"].get("replicas", 1), obj.get("status") or {}
    if message := _unmade(world, obj, status.get("replicas", 0), wanted):
        return message
    cause = _pods(world, obj, wanted, status.get("availableReplicas", status.get("readyReplicas", 0)))
    ordered = obj["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    if not cause.well and ordered and status.get("replicas", 0) < wanted:
        return Cause(cause.about, f"{cause.sentence}; each pod waits for the one before", cause.because)
    return cause


def daemon_set(world: World, obj: Obj) -> Cause:
    if early := _early(obj):
        return early
    status = obj.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    if not wanted:
        ill = [cause for one in world.list(NODES) if not (cause := node(world, one)).well]
        return Cause(title(obj), "no node is meant to run it: selector, affinity and taints leave none", ill)
    if message := _unmade(world, obj, status.get("currentNumberScheduled", 0), wanted):
        return message
    return _pods(world, obj, wanted, status.get("numberAvailable", 0))


def job(world: World, obj: Obj) -> Cause:
    about, status = title(obj), obj.get("status") or {}
    for kind, words in (("Failed", "it has failed"), ("Suspended", "it is suspended")):
        if conditions.is_true(obj, kind):
            told = conditions.get(obj, kind) or {}
            failed = [pod(world, one) for one in _owned(world, PODS, obj) if pods.phase(one) == "Failed"]
            return Cause(about, f"{words}: {ended(told.get('message') or told.get('reason') or '')}", failed)
    if conditions.is_true(obj, "Complete"):
        return Cause(about, f"it is done: {count(status.get('succeeded', 0), 'pod')} succeeded", well=True)
    if message := said(world, obj, "FailedCreate"):
        return Cause(about, f"pods can't be made: {ended(message)}")
    behind = [cause for one in _owned(world, PODS, obj) if not (cause := pod(world, one)).well]
    done, wanted = status.get("succeeded", 0), obj["spec"].get("completions")
    return Cause(
        about, f"{done} of {wanted or 'any number of'} completions are done", behind, well=not behind
    )


def _early(obj: Obj) -> Cause | None:
    if meta.deleting(obj):
        left = ", ".join(meta.finalizers(obj)) or "nobody"
        return Cause(title(obj), f"it is being deleted, and waits for {left}")
    if meta.generation(obj) > (obj.get("status") or {}).get("observedGeneration", 0):
        return Cause(title(obj), ON_ITS_WAY)
    return None


def _unmade(world: World, obj: Obj, there: int, wanted: int) -> Cause | None:
    message = said(world, obj, "FailedCreate") if there < wanted else ""
    return Cause(title(obj), f"pods can't be made: {ended(message)}") if message else None


def _pods(world: World, obj: Obj, wanted: int, available: int) -> Cause:
    owned = _owned(world, PODS, obj)
    behind = _different(world, owned)
    if available >= wanted and not behind:
        return Cause(title(obj), _all(wanted, "pod"), well=True)
    missing = f", {count(wanted - len(owned), 'pod')} still to be made" if len(owned) < wanted else ""
    return Cause(title(obj), f"{available} of {wanted} pods {_is(available)} available{missing}", behind)


def _different(world: World, owned: Iterable[Obj]) -> Sequence[Cause]:
    """The causes of pods that ail, each sentence once, with how many there are of it."""
    found: dict[str, list[Cause]] = {}
    for one in owned:
        cause = pod(world, one)
        if not cause.well:
            found.setdefault(cause.sentence, []).append(cause)
    return [
        one if len(alike) == 1 else Cause(f"{one.about} and {len(alike) - 1} more", one.sentence, one.because)
        for alike in found.values()
        for one in alike[:1]
    ]


def _owned(world: World, kind: Kind, obj: Obj) -> list[Obj]:
    uid = meta.uid(obj)
    found = world.list(kind, meta.namespace(obj))
    return [one for one in found if (meta.controller_ref(one) or {}).get("uid") == uid]


def _all(number: int, noun: str) -> str:
    return f"all {number} {noun}s are available" if number != 1 else f"its only {noun} is available"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
