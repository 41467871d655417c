"""A whole cluster but for its nodes: an API process, and in this process the controllers, the scheduler and
kubelets that run nothing and say that all is well."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from integration import api_process
from integration.api_process import ApiProcess

from mini8s.client.events import Recorder
from mini8s.client.informer import Informers
from mini8s.client.rest import Endpoint, Rest
from mini8s.controllers.manager import Manager
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import errors, meta, pods
from mini8s.objects.kinds import NODES, PODS, Obj
from mini8s.objects.time import format_time
from mini8s.scheduler.runner import Scheduler
from mini8s.util.clock import SystemClock
from mini8s.util.workers import Stop

NAMES = ("n1", "n2")
SECONDS = 60.0
_ROOM = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "20Gi", "pods": "110"}


@contextmanager
def running(folder: Path) -> Iterator[ApiProcess]:
    with api_process.running(folder) as api:
        rest = Rest(Endpoint(unix_socket=api.socket_path), user_agent="hollow")
        stop, clock = Stop(), SystemClock()
        informers = Informers(rest, stop)
        settings = ControllerSettings(node_grace_seconds=3600.0)  # nobody's heart beats here
        recorder = Recorder(rest, "controllers", "", clock)
        manager = Manager(rest, informers, clock=clock, stop=stop, recorder=recorder, settings=settings)
        events = Recorder(rest, "default-scheduler", "", clock)
        scheduler = Scheduler(rest=rest, informers=informers, clock=clock, stop=stop, recorder=events)
        kubelets = Kubelets(rest, informers)
        for name in NAMES:
            rest.create(NODES, {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}})
            rest.patch_status(NODES, "", name, {"status": _node_status(name)})
        informers.start()
        assert informers.wait_synced(SECONDS)
        manager.start()
        scheduler.start()
        try:
            yield api
        finally:
            stop.set()
            kubelets.stop()
            assert manager.stop()
            assert scheduler.stop(SECONDS)
            assert informers.close(SECONDS)
            rest.close()


class Kubelets:
    """All nodes': a pod that is placed runs and is ready, one that shall go goes."""

    def __init__(self, rest: Rest, informers: Informers) -> None:
        self._rest = rest
        self._news: queue.SimpleQueue[Obj | None] = queue.SimpleQueue()
        self._given = 0
        informers.of(PODS).subscribe(lambda _old, new: self._news.put(new) if new else None)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._news.put(None)
        self._thread.join(SECONDS)

    def _run(self) -> None:
        for pod in iter(self._news.get, None):
            try:
                self._sync(pod)
            except (errors.NotFound, errors.Conflict):
                continue  # somebody was faster; the news of it comes

    def _sync(self, pod: Obj) -> None:
        space, name = meta.namespace(pod), meta.name(pod)
        if meta.deleting(pod):
            self._rest.delete(PODS, space, name, grace_seconds=0)
        elif pods.node_name(pod) and not pods.is_ready(pod) and not pods.is_terminal(pod):
            self._given += 1
            made = _ended(pod) or _pod_status(pod, self._given)
            self._rest.patch_status(PODS, space, name, {"status": made})


def _now() -> str:
    return format_time(SystemClock().now())


def _pod_status(pod: Obj, number: int) -> Obj:
    address, now = f"10.42.0.{number}", _now()
    return {
        "phase": "Running",
        "hostIP": "10.99.0.11",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "conditions": [_condition(kind) for kind in ("Initialized", "ContainersReady", "Ready")],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "sha256:0",
                "containerID": f"docker://{number}",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in pod["spec"]["containers"]
        ],
    }


def _ended(pod: Obj) -> Obj | None:
    """The status of a pod whose command is `exit N`, which is all that a hollow node can run."""
    container = pod["spec"]["containers"][0]
    match container.get("command") or container.get("args"):
        case ["exit", code]:
            ended = {"exitCode": int(code), "finishedAt": _now(), "reason": "Completed"}
            status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False}
            return {
                "phase": "Failed" if int(code) else "Succeeded",
                "containerStatuses": [status | {"restartCount": 0, "state": {"terminated": ended}}],
            }
    return None


def _node_status(name: str) -> Obj:
    return {
        "capacity": _ROOM,
        "allocatable": _ROOM,
        "addresses": [{"type": "InternalIP", "address": f"10.99.0.1{name[1:]}"}],
        "nodeInfo": {"kubeletVersion": "v1.33.0", "osImage": "None", "kernelVersion": "0"},
        "conditions": [_condition("Ready") | {"lastHeartbeatTime": _now(), "reason": "KubeletReady"}],
    }


def _condition(kind: str) -> dict[str, Any]:
    return {"type": kind, "status": "True", "lastTransitionTime": _now()}
