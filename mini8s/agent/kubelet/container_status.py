"""PURE: one container's status as the API words it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.agent.kubelet.isolation.resources import differs
from mini8s.agent.kubelet.view import Role, View, Wanted
from mini8s.agent.runtime.records import Container
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time, parse_time

CRASH_LOOP = "CrashLoopBackOff"
HOOK_FAILED = "PostStartHookError"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container doesn't run."""

    reason: str
    message: str = ""

    def state(self) -> Obj:
        said = {"reason": self.reason, "message": self.message}
        return {"waiting": {key: value for key, value in said.items() if value}}


@dataclass(frozen=True, slots=True)
class Notes:
    """What is known besides the engine's records: why containers wait, by name, and what ended ones left as
    their last words, by container id."""

    waiting: Mapping[str, Waiting]
    last_words: Mapping[str, str]


def container_status(view: View, wanted: Wanted, notes: Notes) -> Obj:
    last, state = view.shown(wanted), _state(view, wanted, notes)
    previous = _previous(view, wanted, state)
    status: Obj = {
        "name": wanted.name,
        "state": state,
        "lastState": {"terminated": terminated(previous, notes)} if previous else {},
        "ready": _ready(view, wanted, last),
        "restartCount": last.attempt if last else 0,
        "image": last.image if last else wanted.spec.get("image", ""),
        "imageID": f"docker://{last.image_id}" if last else "",
    }
    if wanted.role is not Role.EPHEMERAL:
        status["started"] = view.started(wanted)
    if last:
        status["containerID"] = f"docker://{last.id}"
        status |= _resources(_given(view, wanted, last)) | _mounts(wanted.spec)
    return status


def terminated(ended: Container, notes: Notes) -> Obj:
    state: Obj = {
        "exitCode": ended.exit_code or (128 if ended.error else 0),
        "reason": _reason(ended),
        "startedAt": _seconds(ended.started_at or ended.created_at),
        "finishedAt": _seconds(ended.finished_at or ended.created_at),
        "containerID": f"docker://{ended.id}",
    }
    message = ended.error or notes.last_words.get(ended.id, "")
    return state | ({"message": message} if message else {})


def lost(status: Obj) -> Obj:
    """A pod that is at its end has no container that waits or runs: nobody knows what became of this one."""
    said = {
        "exitCode": 137,
        "reason": "ContainerStatusUnknown",
        "message": "The container could not be located when the pod was terminated",
    }
    return {**status, "state": {"terminated": said}, "ready": False, "started": False}


def _state(view: View, wanted: Wanted, notes: Notes) -> Obj:
    last = view.shown(wanted)
    waiting = notes.waiting.get(wanted.name)
    if last and last.running:
        return {"running": {"startedAt": _seconds(last.started_at)}}
    if waiting and not (last and last.ended and not view.restarts(wanted, last)):
        return waiting.state()
    if last and last.ended:
        failed = view.hooked.get(last.id)
        if failed and view.restarts(wanted, last):
            return Waiting(HOOK_FAILED, failed).state()
        return {"terminated": terminated(last, notes)}
    return Waiting("PodInitializing" if view.init_containers else "ContainerCreating").state()


def _previous(view: View, wanted: Wanted, state: Obj) -> Container | None:
    """The attempt before the one that `state` tells of."""
    attempts = [one for one in view.running.containers if one.name == wanted.name and one.ended]
    if "terminated" in state:
        attempts = attempts[1:]
    return attempts[0] if attempts else None


def _ready(view: View, wanted: Wanted, last: Container | None) -> bool:
    if wanted.role is Role.EPHEMERAL:
        return False
    if wanted.init and not wanted.sidecar:
        return view.init_done(wanted)
    return bool(view.started(wanted) and last and view.verdict(last).ready)


def _given(view: View, wanted: Wanted, last: Container) -> Obj:
    """What it has: what its spec says, or while that is not done what was said before."""
    asked: Obj = wanted.spec.get("resources") or {}
    if not last.running or not differs(wanted.spec, last.resources):
        return asked
    word = "initContainerStatuses" if wanted.init else "containerStatuses"
    old = (one for one in (view.pod.get("status") or {}).get(word) or () if one["name"] == wanted.name)
    found: Obj = next(old, {})
    given: Obj | None = found.get("resources")
    return asked if given is None else given


def _resources(stated: Obj) -> Obj:
    """KEP-1287."""
    given = {side: stated[side] for side in ("limits", "requests") if stated.get(side)}
    found: Obj = {"resources": given}
    return found | ({"allocatedResources": given["requests"]} if "requests" in given else {})


def _mounts(spec: Obj) -> Obj:
    """How volumes are mounted (KEP-3857). Docker's read-only mounts don't reach into mounts below them: who
    insisted runs because there are none (`volumes/mounts.py`), and nobody looked for the others."""
    found = []
    for mount in spec.get("volumeMounts") or ():
        said = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            insisted = mount.get("recursiveReadOnly") == "Enabled"
            said |= {"readOnly": True, "recursiveReadOnly": "Enabled" if insisted else "Disabled"}
        found.append(said)
    return {"volumeMounts": found} if found else {}


def _reason(ended: Container) -> str:
    if ended.oom_killed:
        return "OOMKilled"
    if ended.error:
        return "ContainerCannotRun"
    return "Error" if ended.exit_code else "Completed"


def _seconds(text: str) -> str:
    return format_time(parse_time(text))
