"""Two hosts: an agent joins, pods spread and reach each other, and what breaks on one is made good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, Hosts
from hosts.cluster import Cluster

GRACE_SECONDS = 22  # the server's patience with a silent node here: two heartbeats
MANIFEST = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: pair}}
spec:
  replicas: 4
  selector: {{matchLabels: {{app: pair}}}}
  template:
    metadata: {{labels: {{app: pair}}}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations:
        - {{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}}
        - {{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds:
        {GRACE_SECONDS}}}
      containers:
        - name: web
          image: mini8s-hello:v1
          readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: pair}}
spec:
  selector: {{app: pair}}
  ports: [{{port: 80, targetPort: 8080}}]
"""


@pytest.fixture(scope="module")
def pair(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    """A server on h1 and an agent on h2, both Ready, with four pods behind a Service."""
    with Cluster(hosts.up(2), image_archives) as cluster:
        cluster.server(1, f"--node-monitor-grace-period={GRACE_SECONDS}")
        cluster.wait_ready("h1")
        cluster.agent(2)
        cluster.wait_ready("h1", "h2")
        cluster.kubectl("apply", "--filename=-", stdin=MANIFEST)
        cluster.kubectl("rollout", "status", "deployment/pair", "--timeout=90s", timeout=100)
        yield cluster


def pods(cluster: Cluster, node: str = "") -> list[dict[str, Any]]:
    """The pods of the Deployment that are wanted and Ready, all or those of a node."""
    listed = cluster.get("pods", "--selector=app=pair")["items"]
    return [
        pod
        for pod in listed
        if pod["spec"].get("nodeName", "").startswith(node)
        and "deletionTimestamp" not in pod["metadata"]
        and {"Ready": "True"}.items() <= {c["type"]: c["status"] for c in pod["status"]["conditions"]}.items()
    ]


def test_pods_spread_over_both_hosts(pair: Cluster) -> None:
    assert len(pods(pair, "h1")) == len(pods(pair, "h2")) == 2


def container(cluster: Cluster, pod: dict[str, Any]) -> str:
    """The id of a pod's only container that runs."""
    labels = (f"label=mini8s.io/pod-uid={pod['metadata']['uid']}", "label=mini8s.io/container")
    flags = [f"--filter={label}" for label in labels]
    return host_of(cluster, pod).docker("ps", "--quiet", *flags).strip()


def host_of(cluster: Cluster, pod: dict[str, Any]) -> Host:
    return cluster.hosts[int(pod["spec"]["nodeName"].removeprefix("h"))]


def test_a_pod_reaches_a_pod_on_the_other_host(pair: Cluster) -> None:
    here, there = pods(pair, "h1")[0], pods(pair, "h2")[0]
    for near, far in ((here, there), (there, here)):
        request = f"printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc {far['status']['podIP']} 8080"
        said = host_of(pair, near).docker("exec", container(pair, near), "sh", "-c", request)
        assert near["status"]["podIP"] in said


def test_the_service_leads_to_pods_on_either_host_from_either_host(pair: Cluster) -> None:
    address = pair.get("service", "pair")["spec"]["clusterIP"]
    names = {pod["metadata"]["name"] for pod in pods(pair)}
    for number in (1, 2):
        said = [pair.curl(f"http://{address}/", on=number) for _ in range(60)]
        assert {line.split()[3].rstrip(":") for line in said} == names


def test_a_killed_container_is_restarted_with_back_off(pair: Cluster) -> None:
    victim = pods(pair, "h2")[0]
    for restarts in (1, 2):
        pair.hosts[2].docker("kill", container(pair, victim))

        def restarted(wanted: int = restarts) -> bool:
            status = pair.get("pod", victim["metadata"]["name"])["status"]["containerStatuses"][0]
            return bool(status["restartCount"] == wanted and status["ready"])

        pair.wait_for(f"restart {restarts}", restarted, seconds=40)
    name = victim["metadata"]["name"]
    assert "BackOff" in pair.kubectl("get", "events", f"--field-selector=involvedObject.name={name}")


def test_a_host_that_is_cut_off_is_replaced_and_comes_back(pair: Cluster) -> None:
    before = {pod["metadata"]["uid"] for pod in pods(pair, "h2")}
    pair.hosts[2].cut()
    pair.wait_for("h2 to be lost", lambda: "h2" not in pair.ready_nodes(), seconds=GRACE_SECONDS + 20)
    pair.wait_for("replacements on h1", lambda: len(pods(pair, "h1")) == 4, seconds=60)
    pair.hosts[2].mend()
    pair.wait_ready("h1", "h2")

    def leftovers() -> set[str]:
        labels = pair.hosts[2].docker("ps", "--all", '--format={{.Label "mini8s.io/pod-uid"}}').split()
        return before & set(labels)

    pair.wait_for("the old pods to be gone from h2", lambda: not leftovers(), seconds=60)
    listed = json.loads(pair.kubectl("get", "pods", "--selector=app=pair", "--output=json"))["items"]
    assert not before & {pod["metadata"]["uid"] for pod in listed}
