"""What may change in a pod that exists: hardly anything (`ValidatePodUpdate`)."""

from __future__ import annotations

from typing import Any

from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid
from mini8s.registry.rules import containers

_RULE = (
    "pod updates may not change fields other than "
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_LISTS = ("containers", "initContainers")
_FREE = frozenset({"activeDeadlineSeconds", "tolerations", "schedulingGates"})


def check(new: Obj, old: Obj) -> Causes:
    spec, was = new["spec"], old["spec"]
    if resized := [part for part in _LISTS if len(spec.get(part) or ()) != len(was.get(part) or ())]:
        yield forbidden(f"spec.{resized[0]}", "pod updates may not add or remove containers")
        return
    for part in _LISTS:
        for index, container in enumerate(spec.get(part) or ()):
            yield from containers.image(container, f"spec.{part}[{index}]")
    yield from _deadline(spec, was)
    yield from _tolerations(spec.get("tolerations") or [], was.get("tolerations") or [])
    yield from _gates(spec, was)
    if changed := sorted(part for part in {*spec, *was} if _fixed(spec, part) != _fixed(was, part)):
        yield forbidden("spec", f"{_RULE}\nchanged: {', '.join(changed)}")


def _fixed(spec: Obj, part: str) -> Any:
    """What of a part of the spec must stay."""
    value = spec.get(part)
    if part in _FREE:
        return None
    if part in _LISTS:
        return [{key: item for key, item in each.items() if key != "image"} for each in value or ()]
    if part == "terminationGracePeriodSeconds" and value is not None and value < 0:
        return 1
    return value


def _deadline(spec: Obj, was: Obj) -> Causes:
    field = "spec.activeDeadlineSeconds"
    before, after = was.get("activeDeadlineSeconds"), spec.get("activeDeadlineSeconds")
    if before is not None and after is None:
        yield invalid(field, None, "must not update from a positive integer to nil value")
    elif before is not None and after > before:
        yield invalid(field, after, "must be less than or equal to previous value")


def _tolerations(now: list[Obj], before: list[Obj]) -> Causes:
    kept = [_but_seconds(toleration) for toleration in now]
    if any(_but_seconds(toleration) not in kept for toleration in before):
        why = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden("spec.tolerations", why)


def _but_seconds(toleration: Obj) -> Obj:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _gates(spec: Obj, was: Obj) -> Causes:
    known = was.get("schedulingGates") or ()
    if [gate for gate in spec.get("schedulingGates") or () if gate not in known]:
        yield forbidden("spec.schedulingGates", "only deletion is allowed, but found new scheduling gate")
