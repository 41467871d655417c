"""PURE: the engine's JSON parsed into the contract's records, once, at the door."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mini8s.agent.runtime.docker import names, sandbox_image
from mini8s.agent.runtime.records import Container, EngineInfo, Image, RunningPod, Sandbox, Trace
from mini8s.agent.runtime.specs import Resources

Json = dict[str, Any]
_STATES = {"created": "created", "running": "running", "paused": "running", "restarting": "running"}
_NEVER = "0001-01-01"


def traces(listed: Sequence[Json]) -> dict[str, Trace]:
    """What `GET /containers/json` says, by pod."""
    found: dict[str, set[tuple[str, str]]] = {}
    for one in listed:
        uid = (one.get("Labels") or {}).get(names.UID)
        if uid:
            found.setdefault(uid, set()).add((one["Id"], one.get("State", "")))
    return {uid: frozenset(trace) for uid, trace in found.items()}


def pod(uid: str, inspected: Sequence[Json]) -> RunningPod | None:
    """All of one pod from its containers' `GET /containers/ID/json`."""
    if not inspected:
        return None
    labels = inspected[0]["Config"].get("Labels") or {}
    boxes = [sandbox(one) for one in inspected if _role(one) == "sandbox"]
    containers = [container(one) for one in inspected if _role(one) == "container"]
    return RunningPod(
        labels.get(names.NAMESPACE, ""),
        labels.get(names.POD, ""),
        uid,
        sorted(boxes, key=lambda box: -box.attempt),
        sorted(containers, key=lambda one: -one.attempt),
    )


def sandbox(inspected: Json) -> Sandbox:
    labels, state = inspected["Config"].get("Labels") or {}, inspected["State"]
    return Sandbox(
        inspected["Id"],
        state.get("Pid") or 0,
        int(labels.get(names.ATTEMPT, "0")),
        bool(state.get("Running")),
        inspected["Created"],
        labels,
    )


def container(inspected: Json) -> Container:
    labels, state = inspected["Config"].get("Labels") or {}, inspected["State"]
    return Container(
        id=inspected["Id"],
        name=labels.get(names.CONTAINER, ""),
        attempt=int(labels.get(names.ATTEMPT, "0")),
        image=inspected["Config"].get("Image", ""),
        image_id=inspected.get("Image", ""),
        state=_STATES.get(state.get("Status", ""), "exited"),
        created_at=inspected["Created"],
        started_at=_time(state.get("StartedAt")),
        finished_at=_time(state.get("FinishedAt")),
        exit_code=state.get("ExitCode") or 0,
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        sandbox_id=labels.get(names.SANDBOX, ""),
        labels=labels,
        pid=state.get("Pid") or 0,
        log_path=inspected.get("LogPath") or "",
        resources=_resources(inspected.get("HostConfig") or {}),
    )


def log_path(inspected: Json) -> Path | None:
    """The file of a log that is in files; only one driver's can be read."""
    driver = ((inspected.get("HostConfig") or {}).get("LogConfig") or {}).get("Type")
    path = inspected.get("LogPath")
    return Path(path) if path and driver == "json-file" else None


def _resources(said: Json) -> Resources:
    numbers = (said.get(word) or 0 for word in ("CpuShares", "CpuQuota", "Memory"))
    return Resources(*numbers)


def image(said: Json) -> Image:
    tagged = [*(said.get("RepoTags") or ()), *(said.get("RepoDigests") or ())]
    user = (said.get("Config") or {}).get("User") or ""  # a listing doesn't say
    found = [name for name in tagged if "<none>" not in name]
    pinned = any(name.startswith(f"{sandbox_image.REPOSITORY}:") for name in found)
    return Image(said["Id"], found, said.get("Size") or 0, user, pinned)


def info(said: Json) -> EngineInfo:
    """What `GET /info` says."""
    options = [option.partition(",")[0] for option in said.get("SecurityOptions") or ()]
    return EngineInfo(
        "docker",
        said["ServerVersion"],
        int(said.get("CgroupVersion") or 1),
        said.get("DockerRootDir") or "",
        said.get("CgroupDriver") or "cgroupfs",
        "name=apparmor" in options,
    )


def _role(inspected: Json) -> str:
    return str((inspected["Config"].get("Labels") or {}).get(names.ROLE, ""))


def _time(text: str | None) -> str:
    return "" if not text or text.startswith(_NEVER) else text
