"""The controllers as they run, threads and all, against the real server; the test plays scheduler and
kubelet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mini8s.client.events import Recorder
from mini8s.client.informer import Informers
from mini8s.client.rest import Endpoint, Rest
from mini8s.controllers.manager import Manager
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import conditions, errors, meta, pods
from mini8s.objects.kinds import (
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    SERVICES,
    Kind,
    Obj,
)
from mini8s.objects.time import format_time
from mini8s.util.clock import SystemClock
from mini8s.util.workers import Stop
from tests.fakes.world import NAMESPACE, deployment, node, service, template
from tests.integration.api_process import running

SECONDS = 90.0


class Cluster:
    """Places and runs every pod as soon as it is there, unless its node is down."""

    def __init__(self, rest: Rest, informers: Informers) -> None:
        self.rest = rest
        self.informers = informers
        self.down: set[str] = set()
        self.writes = 0
        self._news = threading.Condition()
        for kind in (PODS, DEPLOYMENTS, REPLICASETS, ENDPOINTSLICES, ENDPOINTS, SERVICES, NODES, NAMESPACES):
            informers.of(kind).subscribe(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        with self._news:
            self.writes += 1
            self._news.notify_all()

    def wait(self, true: Callable[[], bool]) -> None:
        """Wait for a state of the caches, running the pods meanwhile."""
        with self._news:
            for _ in range(1000):
                self._run_pods()
                if true():
                    return
                if not self._news.wait(SECONDS):
                    break
        raise AssertionError([(meta.name(one), one.get("status")) for one in self.all(DEPLOYMENTS)])

    def quiet(self, seconds: float) -> int:
        """How many changes come within these seconds."""
        before = self.writes
        threading.Event().wait(seconds)
        return self.writes - before

    def all(self, kind: Kind) -> list[Obj]:
        return self.informers.of(kind).cache.list()

    def get(self, kind: Kind, name: str) -> Obj:
        return self.informers.of(kind).cache.get(NAMESPACE, name) or {}

    def sizes(self) -> str:
        found = sorted(self.all(REPLICASETS), key=lambda one: one["metadata"]["creationTimestamp"])
        return "/".join(str(one["spec"]["replicas"]) for one in found)

    def _run_pods(self) -> None:
        for pod in self.all(PODS):
            try:
                self._run(pod)
            except (errors.NotFound, errors.Conflict):
                continue  # the controllers were faster; the news of it comes

    def _run(self, pod: Obj) -> None:
        name, where = meta.name(pod), pods.node_name(pod)
        if not where and not meta.deleting(pod):
            up = [name for name in ("n1", "n2") if name not in self.down]
            self.rest.bind(NAMESPACE, name, up[0])
        elif where in self.down:
            return
        elif meta.deleting(pod):
            self.rest.delete(PODS, NAMESPACE, name, grace_seconds=0)
        elif not pods.is_ready(pod):
            now = format_time(SystemClock().now())
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
            status = {"phase": "Running", "podIP": f"10.42.0.{len(name)}", "conditions": [ready]}
            self.rest.patch_status(PODS, NAMESPACE, name, {"status": status})


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running(tmp_path) as process:
        rest = Rest(Endpoint(unix_socket=process.socket_path), user_agent="test")
        for name in ("n1", "n2"):
            rest.create(NODES, {"metadata": {"name": name}})
            rest.patch_status(NODES, "", name, {"status": node(name)["status"]})
        stop = Stop()
        informers, clock = Informers(rest, stop), SystemClock()
        manager = Manager(
            rest,
            informers,
            clock=clock,
            stop=stop,
            recorder=Recorder(rest, "controllers", "", clock),
            settings=ControllerSettings(node_grace_seconds=6.0),
        )
        found = Cluster(rest, informers)
        informers.start()
        assert informers.wait_synced(SECONDS)
        manager.start()
        beating = threading.Thread(target=beat, args=(rest, found, stop))
        beating.start()
        yield found
        stop.set()
        assert manager.stop()
        assert informers.close(SECONDS)
        beating.join(60)
        rest.close()


def beat(rest: Rest, cluster: Cluster, stop: Stop) -> None:
    """The nodes' heartbeats."""
    while not stop.wait(0.3):
        for name in {"n1", "n2"} - cluster.down:
            now = format_time(SystemClock().now())
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "reason": "KubeletReady"}
            rest.patch_status(NODES, "", name, {"status": {"conditions": [ready]}})


def available(cluster: Cluster, image: str = "") -> bool:
    found = cluster.get(DEPLOYMENTS, "web")
    status = found.get("status") or {}
    numbers = {status.get(field) for field in ("replicas", "updatedReplicas", "availableReplicas")}
    return (
        bool(status)
        and numbers == {found["spec"]["replicas"]}
        and status["observedGeneration"] == meta.generation(found)
        and (not image or found["spec"]["template"]["spec"]["containers"][0]["image"] == image)
    )


def test_a_deployment_lives(cluster: Cluster) -> None:
    rest = cluster.rest
    cluster.wait(lambda: bool(rest.list(SERVICEACCOUNTS, NAMESPACE).items))
    rest.create(DEPLOYMENTS, deployment())
    rest.create(SERVICES, service(clusterIP=""))
    cluster.wait(lambda: available(cluster))
    cluster.wait(lambda: [len(one["endpoints"]) for one in cluster.all(ENDPOINTSLICES)] == [3])

    seen: list[str] = []
    cluster.informers.of(REPLICASETS).subscribe(lambda _old, _new: note(seen, cluster.sizes()))
    rest.patch(DEPLOYMENTS, NAMESPACE, "web", {"spec": {"template": template("web:v2")}})
    cluster.wait(lambda: available(cluster, "web:v2"))
    assert seen == ["3", "3/1", "2/1", "2/2", "1/2", "1/3", "0/3"]

    rest.patch(DEPLOYMENTS, NAMESPACE, "web", {"spec": {"replicas": 60}})
    cluster.wait(lambda: available(cluster))
    assert len(cluster.all(PODS)) == 60
    assert {"ScalingReplicaSet", "SuccessfulCreate"} <= {one["reason"] for one in rest.list(EVENTS).items}

    rest.delete(DEPLOYMENTS, NAMESPACE, "web", propagation="Foreground")
    cluster.wait(lambda: not cluster.all(DEPLOYMENTS))
    assert (cluster.all(REPLICASETS), cluster.all(PODS)) == ([], [])


def note(seen: list[str], sizes: str) -> None:
    if not seen or seen[-1] != sizes:
        seen.append(sizes)


def test_a_lost_node_s_pods_are_replaced_and_a_namespace_ends(cluster: Cluster) -> None:
    rest = cluster.rest
    spec = deployment(replicas=3)
    for key in ("not-ready", "unreachable"):
        toleration = {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 1,
        }
        spec["spec"]["template"]["spec"].setdefault("tolerations", []).append(toleration)
    rest.create(DEPLOYMENTS, spec)
    cluster.wait(lambda: available(cluster))
    cluster.down.add("n1")
    cluster.wait(lambda: available(cluster) and {*map(pods.node_name, running_pods(cluster))} == {"n2"})
    lost = next(one for one in cluster.all(NODES) if meta.name(one) == "n1")
    assert (conditions.get(lost, "Ready") or {})["reason"] == "NodeStatusUnknown"
    cluster.down.clear()
    cluster.wait(lambda: len(cluster.all(PODS)) == 3)
    cluster.wait(lambda: not any(one["spec"].get("taints") for one in cluster.all(NODES)))

    rest.create(NAMESPACES, {"metadata": {"name": "team"}})
    rest.create(SERVICES, service() | {"metadata": {"namespace": "team", "name": "web"}})
    rest.delete(NAMESPACES, "", "team")
    cluster.wait(lambda: "team" not in map(meta.name, cluster.all(NAMESPACES)))


def running_pods(cluster: Cluster) -> list[Obj]:
    return [pod for pod in cluster.all(PODS) if pods.is_active(pod)]
