"""Why a claim has no volume."""

from __future__ import annotations

from mini8s.cli.causes.base import Cause, World, ended, said, title
from mini8s.objects import claims, meta
from mini8s.objects.kinds import PERSISTENTVOLUMES, PODS, STORAGECLASSES, Obj


def claim(world: World, obj: Obj) -> Cause:
    about, phase = title(obj), (obj.get("status") or {}).get("phase")
    volume = obj["spec"].get("volumeName") or ""
    if meta.deleting(obj):
        return _deleting(world, obj)
    if phase == "Lost" or (volume and phase == "Bound" and world.get(PERSISTENTVOLUMES, "", volume) is None):
        return Cause(about, f"its volume {volume} is gone, and with it what was on it")
    if phase == "Bound":
        return Cause(about, f"it is bound to {volume}", well=True)
    if volume:
        return Cause(about, f"it asks for the volume {volume}, which is not there or another claim's")
    return _pending(world, obj)


def _pending(world: World, obj: Obj) -> Cause:
    about, name = title(obj), claims.class_name(obj)
    if not name:
        return Cause(
            about, "it names no storage class, there is no default one, and no volume that is there fits"
        )
    found = world.get(STORAGECLASSES, "", name)
    if found is None:
        return Cause(about, f'its storage class "{name}" does not exist, and no volume that is there fits')
    if message := said(world, obj, "ProvisioningFailed"):
        return Cause(about, f"its volume could not be made: {ended(message)}")
    chosen = meta.annotations(obj).get(claims.SELECTED_NODE)
    if claims.waits(found) and not chosen:
        if users := _users(world, obj):
            return Cause(about, f"it waits until pod {meta.name(users[0])} has a node")
        return Cause(
            about, f'it waits for a pod that uses it (class "{name}" is WaitForFirstConsumer)', well=True
        )
    where = f" on {chosen}" if chosen else ""
    return Cause(about, f"{found.get('provisioner')} is to make its volume{where} and has not yet")


def _deleting(world: World, obj: Obj) -> Cause:
    users = [meta.name(pod) for pod in _users(world, obj)]
    if users:
        return Cause(title(obj), f"it is being deleted, as soon as these pods are gone: {', '.join(users)}")
    left = ", ".join(meta.finalizers(obj))
    return Cause(title(obj), f"it is being deleted, and waits for whoever set the finalizers {left}")


def _users(world: World, obj: Obj) -> list[Obj]:
    name = meta.name(obj)
    return [
        pod
        for pod in world.list(PODS, meta.namespace(obj))
        if any(used == name for used, _ in claims.of_pod(pod))
    ]
