"""PURE: one container's status as the API words it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.agent.kubelet.view import View, Wanted
from mini8s.agent.runtime.base import Container
from mini8s.objects.kinds import Obj
from mini8s.objects.time import format_time, parse_time

CRASH_LOOP = "CrashLoopBackOff"


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
    last, state = view.last(wanted), _state(view, wanted, notes)
    previous = _previous(view, wanted, state)
    started = view.started(wanted)
    status: Obj = {
        "name": wanted.name,
        "state": state,
        "lastState": {"terminated": terminated(previous, notes)} if previous else {},
        "ready": _ready(view, wanted, last, started),
        "restartCount": last.attempt if last else 0,
        "image": last.image if last else wanted.spec.get("image", ""),
        "imageID": f"docker://{last.image_id}" if last else "",
        "started": started,
    }
    if last:
        status["containerID"] = f"docker://{last.id}"
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


def _state(view: View, wanted: Wanted, notes: Notes) -> Obj:
    last = view.last(wanted)
    waiting = notes.waiting.get(wanted.name)
    if last and last.running:
        return {"running": {"startedAt": _seconds(last.started_at)}}
    if waiting:
        return waiting.state()
    if last and last.ended:
        return {"terminated": terminated(last, notes)}
    begun = wanted.init or not view.init_containers or all(map(view.init_done, view.init_containers))
    return Waiting("ContainerCreating" if begun and not wanted.init else "PodInitializing").state()


def _previous(view: View, wanted: Wanted, state: Obj) -> Container | None:
    """The attempt before the one that `state` tells of."""
    attempts = [one for one in view.running.containers if one.name == wanted.name and one.ended]
    if "terminated" in state:
        attempts = attempts[1:]
    return attempts[0] if attempts else None


def _ready(view: View, wanted: Wanted, last: Container | None, started: bool) -> bool:
    if wanted.init and not wanted.sidecar:
        return view.init_done(wanted)
    return bool(started and last and view.verdict(last).ready)


def _reason(ended: Container) -> str:
    if ended.oom_killed:
        return "OOMKilled"
    if ended.error:
        return "ContainerCannotRun"
    return "Error" if ended.exit_code else "Completed"


def _seconds(text: str) -> str:
    return format_time(parse_time(text))
