"""The kubelet with a real Docker on a test host, and an API in memory that a test writes pods into."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes.api import FakeApi, FakeEvents
from fakes.network import FakeNetwork
from hosts import Host

from mini8s.agent.kubelet import relist
from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.parts import Doors, NodeSetup
from mini8s.agent.kubelet.runner import Kubelet
from mini8s.agent.runtime.docker import engine
from mini8s.agent.runtime.docker.engine import DockerEngine
from mini8s.client.informer import Informers
from mini8s.objects import conditions
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import CONFIGMAPS, LEASES, NODES, PODS, SECRETS, Obj
from mini8s.util.clock import SystemClock
from mini8s.util.workers import Stop

IMAGE = "mini8s-busybox:1"


@dataclass
class Node:
    """A host with a kubelet that can be stopped and started again; API and network outlive it."""

    host: Host
    folder: Path
    api: FakeApi = field(default_factory=lambda: FakeApi(now=SystemClock().now))
    network: FakeNetwork = field(default_factory=FakeNetwork)
    events: FakeEvents = field(default_factory=FakeEvents)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.stop = Stop()
        self.engine = DockerEngine(self.host.docker_host)
        self.informers = Informers(self.api, self.stop)
        node = NodeSetup(
            name="n1",
            ips=lambda: ("10.99.0.11",),
            data_dir=self.folder,
            cluster_dns="10.43.0.10",
            cluster_domain="cluster.local",
            labels={"zone": "a"},
            taints=[],
        )
        doors = Doors(
            rest=self.api,
            informers=self.informers,
            runtime=self.engine,
            network=self.network,
            recorder=self.events,
            clock=SystemClock(),
            stop=self.stop,
        )
        groups = f"/{self.host.place.host(self.host.number)}"  # the host's own, which go with it
        self.kubelet = Kubelet(node, doors, policy=Policy(cgroup_root=groups))
        self.kubelet.start()

    def end(self) -> None:
        self.stop.set()
        self.informers.close()
        self.kubelet.stop()

    def run(self, name: str, *command: str, **spec: Any) -> Obj:
        container = {"name": "c", "image": IMAGE, "command": list(command), **spec.pop("container", {})}
        pod = {
            "metadata": {"namespace": "default", "name": name, "labels": {"app": name}},
            "spec": {"nodeName": "n1", "containers": [container], "terminationGracePeriodSeconds": 2, **spec},
        }
        return self.api.create(PODS, pod)

    def status(self, name: str) -> Obj:
        return self.api.get(PODS, "default", name).get("status") or {}

    def container(self, name: str) -> Obj:
        return (self.status(name).get("containerStatuses") or [{}])[0]

    def until(self, true: Callable[[], Any], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not in time: {self.api.list(PODS).items} {self.events.said}"
            time.sleep(0.05)

    def until_running(self, name: str) -> Obj:
        self.until(lambda: conditions.is_true({"status": self.status(name)}, "Ready"))
        return self.container(name)

    def exec(self, name: str, *command: str) -> str:
        container_id = self.container(name)["containerID"].removeprefix("docker://")
        return self.engine.exec(container_id, command, 60).output.decode()

    def delete(self, name: str) -> None:
        self.api.delete(PODS, "default", name)
        self.until(lambda: self.gone(name))

    def gone(self, name: str) -> bool:
        try:
            self.api.get(PODS, "default", name)
        except NotFound:
            return True
        return False


@pytest.fixture
def node(engine_host: Host, tmp_path: Path) -> Iterator[Node]:
    made = Node(engine_host, tmp_path)
    try:
        yield made
        for pod in made.api.list(PODS).items:
            made.api.delete(PODS, "default", pod["metadata"]["name"])
        made.until(lambda: not made.api.list(PODS).items and not made.engine.pods())
        assert made.network.attached == {}
        made.until(lambda: not list((tmp_path / "agent" / "pods").glob("*")))
        assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
    finally:
        made.end()


def test_a_pod_runs_and_is_removed(node: Node) -> None:
    node.run("web", "sleep", "600")
    container = node.until_running("web")
    status = node.status("web")
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.42.0.")
    assert status["hostIP"] == "10.99.0.11"
    assert container["restartCount"] == 0
    assert node.exec("web", "hostname") == "web\n"
    assert f"{status['podIP']}\tweb" in node.exec("web", "cat", "/etc/hosts")
    assert "search default.svc.cluster.local svc.cluster.local" in node.exec("web", "cat", "/etc/resolv.conf")
    node.delete("web")
    said = [(level, reason) for name, level, reason, _ in node.events.said if name == "web"]
    assert said == [("Normal", word) for word in ("Pulled", "Created", "Started", "Killing")]


def test_an_agent_that_starts_again_restarts_nothing(node: Node) -> None:
    node.run("web", "sleep", "600")
    before = node.until_running("web")
    node.end()
    node.start()
    node.until(lambda: node.kubelet.ready)
    node.run("other", "sleep", "600")
    node.until_running("other")
    assert node.container("web") == before


def test_a_pod_deleted_while_the_agent_was_away(node: Node) -> None:
    node.run("web", "sleep", "600")
    node.until_running("web")
    node.end()
    node.api.delete(PODS, "default", "web", grace_seconds=0)
    node.start()
    node.until(lambda: not node.engine.pods())


def test_a_killed_container_comes_back(node: Node) -> None:
    node.run("web", "sleep", "600")
    first = node.until_running("web")
    node.engine.kill_container(first["containerID"].removeprefix("docker://"))
    node.until(lambda: node.container("web")["restartCount"] == 1 and node.container("web")["ready"])
    second = node.container("web")
    assert second["lastState"]["terminated"]["exitCode"] == 137
    node.engine.kill_container(second["containerID"].removeprefix("docker://"))
    node.until(lambda: "waiting" in node.container("web")["state"])
    waiting = node.container("web")["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert waiting["message"].startswith("back-off 10s restarting failed container=c pod=web_default(")


def test_a_job_that_ends(node: Node) -> None:
    node.run("job", "sh", "-c", "echo bye >/dev/termination-log; exit 3", restartPolicy="Never")
    node.until(lambda: node.status("job").get("phase") == "Failed")
    ended = node.container("job")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "bye\n")
    node.until(lambda: node.network.attached == {})


def test_init_containers_come_first(node: Node) -> None:
    shared = [{"name": "v", "mountPath": "/v"}]
    init = [
        {
            "name": f"i{step}",
            "image": IMAGE,
            "command": ["sh", "-c", f"echo {step} >>/v/log"],
            "volumeMounts": shared,
        }
        for step in (1, 2)
    ]
    node.run(
        "web", "sleep", "600",
        initContainers=init, volumes=[{"name": "v", "emptyDir": {}}], container={"volumeMounts": shared},
    )  # fmt: skip
    node.until_running("web")
    assert node.exec("web", "cat", "/v/log") == "1\n2\n"
    states = [one["state"]["terminated"]["reason"] for one in node.status("web")["initContainerStatuses"]]
    assert states == ["Completed", "Completed"]


def test_a_config_map_that_comes_late_and_changes(node: Node) -> None:
    secret = {"metadata": {"namespace": "default", "name": "s"}, "data": {"key": "aGlkZGVu"}}
    node.api.create(SECRETS, secret)
    node.run(
        "web", "sleep", "600",
        volumes=[{"name": "v", "configMap": {"name": "late"}}, {"name": "s", "secret": {"secretName": "s"}}],
        container={
            "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "s", "mountPath": "/s"}],
            "envFrom": [{"configMapRef": {"name": "late"}, "prefix": "THE_"}],
        },
    )  # fmt: skip
    node.until(lambda: any(reason == "FailedMount" for _, _, reason, _ in node.events.said))
    node.until(
        lambda: node.container("web").get("state") == {"waiting": {"reason": "ContainerCreating"}}
    )  # fmt: skip
    late = {"metadata": {"namespace": "default", "name": "late"}, "data": {"greeting": "hello"}}
    made = node.api.create(CONFIGMAPS, late)
    node.until_running("web")
    assert node.exec("web", "sh", "-c", "echo $THE_greeting; cat /v/greeting /s/key") == "hello\nhellohidden"
    node.api.update(CONFIGMAPS, {**made, "data": {"greeting": "goodbye"}})
    node.until(lambda: node.exec("web", "cat", "/v/greeting") == "goodbye")


def test_a_command_and_an_image_that_are_not_there(node: Node) -> None:
    node.run("bad", "/no/such/command")
    node.run("worse", "true", container={"image": "no-such-image:1", "imagePullPolicy": "Never"})
    node.until(lambda: node.container("bad").get("restartCount") == 1)
    node.until(lambda: "waiting" in node.container("bad")["state"])
    ended = node.container("bad")["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("ContainerCannotRun", 127)
    assert node.container("worse")["state"]["waiting"]["reason"] == "ErrImageNeverPull"


def test_probes_judge_a_container(node: Node) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ok"]}, "periodSeconds": 1, "failureThreshold": 1}
    node.run("web", "sh", "-c", "mkdir -p /tmp; sleep 600", container={"readinessProbe": probe})
    node.until(lambda: any(reason == "Unhealthy" for _, _, reason, _ in node.events.said))
    assert node.container("web")["ready"] is False
    node.exec("web", "touch", "/tmp/ok")
    node.until_running("web")
    node.run("dies", "sleep", "600", container={"livenessProbe": probe})
    node.until(lambda: node.container("dies").get("restartCount") == 1)
    said = [message for name, _, reason, message in node.events.said if (name, reason) == ("dies", "Killing")]
    assert said[0] == "Container c failed liveness probe, will be restarted"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves sockets
def test_the_engine_is_restarted_under_the_agent(node: Node) -> None:
    node.run("web", "sleep", "300")
    node.until_running("web")
    assert node.kubelet.ready
    node.host.reboot()
    node.until(lambda: node.container("web").get("restartCount") == 1)
    node.until_running("web")
    node.until(lambda: node.kubelet.ready)
    gc.collect()


def test_an_engine_that_hangs_keeps_no_probe_from_being_heard(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dockerd is stopped in its tracks: who serves is told all the same, and later all goes on by itself."""
    monkeypatch.setattr(engine, "LIST_SECONDS", 2.0)
    monkeypatch.setattr(relist, "RELIST_SECONDS", 0.5)
    node.end()
    node.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = {"tcpSocket": {"host": "127.0.0.1", "port": listener.getsockname()[1]}}
        probe = {"readinessProbe": asked | {"periodSeconds": 1, "failureThreshold": 1}}
        node.run("web", "sleep", "600", container=probe)
        before = node.until_running("web")
        dockerd = int((node.host.folder / "docker.pid").read_text())
        os.kill(dockerd, signal.SIGSTOP)
        try:
            for number in range(6):  # more than there are workers
                node.run(f"new-{number}", "sleep", "600")
            node.until(lambda: not node.kubelet.ready)
            down = "container runtime is down: the container engine doesn't answer"
            node.until(lambda: down in conditions.get(node.api.get(NODES, "", "n1"), "Ready")["message"])
            listener.close()
            node.until(lambda: not conditions.is_true({"status": node.status("web")}, "Ready"))
            assert node.container("web")["containerID"] == before["containerID"]
        finally:
            os.kill(dockerd, signal.SIGCONT)
    for number in range(6):
        node.until_running(f"new-{number}")
    assert node.container("web")["restartCount"] == 0


def test_the_node_is_registered_and_renewed(node: Node) -> None:
    node.until(lambda: node.kubelet.ready)
    node.until(lambda: conditions.is_true(node.api.get(NODES, "", "n1"), "Ready"))
    registered = node.api.get(NODES, "", "n1")
    assert registered["metadata"]["labels"]["zone"] == "a"
    assert registered["status"]["capacity"]["pods"] == "110"
    assert registered["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")
    assert any(IMAGE in image["names"] for image in registered["status"]["images"])
    node.until(lambda: node.api.list(LEASES, "kube-node-lease").items)


def test_logs_over_a_connection(node: Node) -> None:
    node.run("web", "sh", "-c", "echo one; sleep 0.2; echo two; sleep 600")
    node.until_running("web")
    node.until(lambda: b"two" in ask(node, "/containerLogs/default/web/c"))
    assert ask(node, "/containerLogs/default/web/c?tailLines=1").endswith(b"\r\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")
    assert b"5\r\none\nt\r\n0\r\n" in ask(node, "/containerLogs/default/web/c?limitBytes=5")
    refused = ask(node, "/containerLogs/default/web/c?previous=true")
    assert refused.startswith(b"HTTP/1.1 400")
    assert rb"previous terminated container \"c\" in pod \"web\" not found" in refused


def test_a_follower_that_hangs_up_leaves_no_thread(node: Node) -> None:
    node.run("web", "sh", "-c", "echo one; sleep 600")
    node.until_running("web")
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=node.kubelet.streams.serve, args=(theirs,))
    server.start()
    ours.sendall(b"GET /containerLogs/default/web/c?follow=true HTTP/1.1\r\n\r\n")
    heard = b""
    while b"one\n" not in heard:
        heard += ours.recv(4096)
    ours.close()
    server.join(60)
    assert not server.is_alive()


def ask(node: Node, path: str) -> bytes:
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    with ours:
        ours.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        node.kubelet.streams.serve(theirs)
        answer = b""
        while piece := ours.recv(65536):
            answer += piece
        return answer
