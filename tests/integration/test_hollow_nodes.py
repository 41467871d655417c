"""Hollow nodes as a process of their own beside a whole control plane: they come, run a Deployment, and are
missed when their process is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from integration import api_process
from integration.api_process import ApiProcess

from mini8s.client.events import Recorder
from mini8s.client.informer import Informers
from mini8s.client.rest import Endpoint, Rest
from mini8s.controllers.manager import Manager
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import conditions, pods
from mini8s.objects.kinds import DEPLOYMENTS, EVENTS, NODES, PODS, Obj
from mini8s.scheduler.runner import Scheduler
from mini8s.util.clock import SystemClock
from mini8s.util.workers import Stop

COUNT, REPLICAS = 20, 100
GRACE_SECONDS, SECONDS = 6.0, 120.0
MINI8S = str(Path(sys.executable).with_name("mini8s"))


def wait(what: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


def hollow(api: ApiProcess) -> subprocess.Popen[bytes]:
    """The API's files lie where a server's would, as far as this process looks for them."""
    (api.folder / "server").mkdir()
    (api.folder / "server" / "api.sock").symlink_to(api.socket_path)
    flags = (f"--count={COUNT}", f"--data-dir={api.folder}", "--kubelet-arg=node-lease-duration-seconds=4")
    return subprocess.Popen([MINI8S, "agent", "--runtime=hollow", *flags])


def web() -> Obj:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}}
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


def test_twenty_nodes_come_run_a_hundred_pods_and_are_missed(tmp_path: Path) -> None:
    with api_process.running(tmp_path) as api:
        rest = Rest(Endpoint(unix_socket=api.socket_path), user_agent="test")
        stop, clock = Stop(), SystemClock()
        informers = Informers(rest, stop)
        recorder = Recorder(rest, "controllers", "", clock)
        settings = ControllerSettings(node_grace_seconds=GRACE_SECONDS)
        manager = Manager(rest, informers, clock=clock, stop=stop, recorder=recorder, settings=settings)
        scheduler = Scheduler(rest=rest, informers=informers, clock=clock, stop=stop, recorder=recorder)
        informers.start()
        assert informers.wait_synced(SECONDS)
        manager.start()
        scheduler.start()
        nodes = hollow(api)
        try:
            _through(rest, nodes)
        finally:
            nodes.kill()
            nodes.wait()
            stop.set()
            assert manager.stop()
            assert scheduler.stop(SECONDS)
            assert informers.close(SECONDS)
            rest.close()


def _through(rest: Rest, nodes: subprocess.Popen[bytes]) -> None:
    def ready(word: str) -> int:
        found = [conditions.get(node, "Ready") or {} for node in rest.list(NODES).items]
        return sum(one.get("status") == word for one in found)

    wait(lambda: ready("True") == COUNT)
    rest.create(DEPLOYMENTS, web())
    wait(lambda: _replicas(rest) == REPLICAS)
    found = rest.list(PODS, "default").items
    assert len({pod["status"]["podIP"] for pod in found}) == REPLICAS
    assert len({pods.node_name(pod) for pod in found}) == COUNT
    gone = found[0]["metadata"]["name"]
    rest.delete(PODS, "default", gone)
    wait(lambda: gone not in {pod["metadata"]["name"] for pod in rest.list(PODS, "default").items})
    wait(lambda: _replicas(rest) == REPLICAS)
    nodes.kill()
    nodes.wait()
    wait(lambda: ready("Unknown") == COUNT)
    wait(lambda: "NodeNotReady" in {event["reason"] for event in rest.list(EVENTS, "default").items})


def _replicas(rest: Rest) -> int:
    found: int = (rest.get(DEPLOYMENTS, "default", "web").get("status") or {}).get("readyReplicas", 0)
    return found
