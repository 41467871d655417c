"""Why a pod does not run, or is not ready, or is where it is."""

from __future__ import annotations

from collections.abc import Iterator

from mini8s.cli.causes.base import Cause, World, ended, said, title
from mini8s.cli.causes.claims import claim
from mini8s.cli.causes.nodes import node
from mini8s.objects import claims, conditions, meta, pods
from mini8s.objects.kinds import NODES, PERSISTENTVOLUMECLAIMS, Obj

LOST_POLICY = "mini8s.io/on-node-lost"
_AHEAD = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedSync", "NetworkNotReady")


def pod(world: World, obj: Obj) -> Cause:
    if meta.deleting(obj):
        return _deleting(world, obj)
    match pods.phase(obj):
        case "Succeeded":
            return Cause(
                title(obj), "it has done what it was for: all its containers ended with 0", well=True
            )
        case "Failed":
            return _failed(obj)
    if not pods.node_name(obj):
        return _without_node(world, obj)
    there = world.get(NODES, "", pods.node_name(obj))
    if there is None:
        return Cause(title(obj), f"it is of node {pods.node_name(obj)}, which is not there any more")
    if not conditions.is_true(there, "Ready"):
        return _on_lost_node(world, obj, there)
    return _on_node(world, obj)


def _deleting(world: World, obj: Obj) -> Cause:
    about, since = title(obj), obj["metadata"]["deletionTimestamp"]
    there = world.get(NODES, "", pods.node_name(obj)) if pods.node_name(obj) else None
    if there is not None and not conditions.is_true(there, "Ready"):
        return Cause(about, "it is deleted, and only its host can say that it is gone", (node(world, there),))
    if left := meta.finalizers(obj):
        return Cause(about, f"it is deleted since {since}, and waits for the finalizers {', '.join(left)}")
    if not pods.node_name(obj):
        return Cause(about, f"it is deleted since {since} and never had a node")
    grace = obj["metadata"].get("deletionGracePeriodSeconds", 0)
    return Cause(about, f"it is being stopped, and has until {since} ({grace} s grace) to end by itself")


def _failed(obj: Obj) -> Cause:
    status = obj.get("status") or {}
    words = ": ".join(filter(None, (status.get("reason"), ended(status.get("message") or ""))))
    if words:
        return Cause(title(obj), f"it has failed: {words}")
    return Cause(title(obj), f"it has failed: {'; '.join(_endings(obj)) or 'nobody said why'}")


def _endings(obj: Obj) -> Iterator[str]:
    for container in _statuses(obj):
        gone = (container.get("state") or {}).get("terminated") or {}
        if gone.get("exitCode"):
            yield f"container {container['name']} {_ending(gone)}"


def _ending(gone: Obj) -> str:
    words = f"ended with {gone.get('exitCode')}"
    if (reason := gone.get("reason")) and reason not in {"Error", "Completed"}:
        words += f" ({reason})"
    if message := ended(gone.get("message") or ""):
        words += f": {message.splitlines()[-1]}"
    return words


def _without_node(world: World, obj: Obj) -> Cause:
    about, status = title(obj), obj.get("status") or {}
    if gates := obj["spec"].get("schedulingGates"):
        return Cause(
            about, f"it waits until somebody removes its gates: {', '.join(one['name'] for one in gates)}"
        )
    told = conditions.get(obj, "PodScheduled")
    if told is None or told.get("status") != "False":
        name = obj["spec"].get("schedulerName") or "default-scheduler"
        return Cause(about, f"{name} has not looked at it yet, or there is no such scheduler")
    behind = [*_claims(world, obj), *_nodes(world)]
    if nominated := status.get("nominatedNodeName"):
        return Cause(about, f"it waits until others have made room for it on {nominated}", behind)
    return Cause(about, f"no node will do: {ended(told.get('message') or '')}", behind)


def _claims(world: World, obj: Obj) -> Iterator[Cause]:
    for name, _ in claims.of_pod(obj):
        found = world.get(PERSISTENTVOLUMECLAIMS, meta.namespace(obj), name)
        if found is None:
            yield Cause(f"persistentvolumeclaim/{name}", "it does not exist")
        elif not (cause := claim(world, found)).well:
            yield cause


def _nodes(world: World) -> Iterator[Cause]:
    return (cause for one in world.list(NODES) if not (cause := node(world, one)).well)


def _on_lost_node(world: World, obj: Obj, there: Obj) -> Cause:
    what = {
        "keep": "it is its host's, which keeps it, and comes back with it",
        "fence": "it is replaced as soon as its host must have given up",
    }
    policy = meta.annotations(obj).get(LOST_POLICY, "")
    sentence = what.get(policy, "its host is not heard of; it is replaced when it no longer tolerates that")
    return Cause(title(obj), sentence, (node(world, there),))


def _on_node(world: World, obj: Obj) -> Cause:
    about, where = title(obj), pods.node_name(obj)
    for container in _statuses(obj):
        if cause := _not_running(obj, container):
            return cause
    if conditions.is_true(obj, "Ready"):
        restarts = sum(one.get("restartCount", 0) for one in _statuses(obj))
        again = f", and has restarted {restarts} times" if restarts else ""
        return Cause(about, f"it runs on {where} and is ready{again}", _chosen(world, obj), well=True)
    if message := said(world, obj, *_AHEAD):
        return Cause(about, f"it can't start on {where} yet: {ended(message)}")
    if not (obj.get("status") or {}).get("containerStatuses"):
        return Cause(about, f"its node {where} has not begun with it yet")
    return _not_ready(world, obj)


def _chosen(world: World, obj: Obj) -> tuple[Cause, ...]:
    message = said(world, obj, "Scheduled")
    return (Cause("scheduler", ended(message), well=True),) if message else ()


def _not_running(obj: Obj, container: Obj) -> Cause | None:
    about, state, name = title(obj), container.get("state") or {}, container["name"]
    if waiting := state.get("waiting"):
        reason, message = waiting.get("reason") or "", ended(waiting.get("message") or "")
        if reason == "CrashLoopBackOff":
            gone = (container.get("lastState") or {}).get("terminated") or {}
            times = container.get("restartCount", 0)
            return Cause(
                about, f"container {name} {_ending(gone)}, {times} times now, and is tried again: {message}"
            )
        if reason in {"ContainerCreating", "PodInitializing"}:
            return None
        return Cause(about, f"container {name} can't start: {': '.join(filter(None, (reason, message)))}")
    gone = state.get("terminated")
    if gone and gone.get("exitCode") and not _is_init(obj, name):
        return Cause(about, f"container {name} {_ending(gone)}")
    if gone and gone.get("exitCode"):
        return Cause(about, f"init container {name} {_ending(gone)}, and the others wait for it")
    return None


def _not_ready(world: World, obj: Obj) -> Cause:
    about = title(obj)
    unhealthy = ended(said(world, obj, "Unhealthy"))
    for container in _statuses(obj):
        if "running" not in (container.get("state") or {}) or container.get("ready"):
            continue
        if container.get("started") is False:
            words = "has not started up: its startup probe has not succeeded yet"
        else:
            words = "runs, and its readiness probe says that it is not ready"
        return Cause(about, f"container {container['name']} {words}{f' ({unhealthy})' if unhealthy else ''}")
    for gate in obj["spec"].get("readinessGates") or ():
        if not conditions.is_true(obj, gate["conditionType"]):
            return Cause(about, f"it waits for its readiness gate {gate['conditionType']}")
    if pulling := said(world, obj, "Pulling"):
        return Cause(about, f"it is being started: {pulling}")
    told = ended((conditions.get(obj, "Ready") or {}).get("message") or "")
    return Cause(about, f"it is being started{f': {told}' if told else ''}")


def _is_init(obj: Obj, name: str) -> bool:
    return any(one["name"] == name for one in obj["spec"].get("initContainers") or ())


def _statuses(obj: Obj) -> list[Obj]:
    status = obj.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
