"""The spine on one host: a Deployment behind a Service, rolled forward and back under traffic."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest
from hosts.cluster import Cluster
from traffic import traffic

Steps = list[tuple[int, int]]


def hostnames(cluster: Cluster, address: str, requests: int = 40) -> set[str]:
    """Who answers at that address."""
    said = [cluster.curl(f"http://{address}/") for _ in range(requests)]
    return {line.split()[3].rstrip(":") for line in said if line}


def pod_names(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["name"] for pod in cluster.get("pods", "--selector=app=hello")["items"]}


@contextmanager
def watched(cluster: Cluster, resource: str) -> Iterator[list[dict[str, Any]]]:
    """The objects that `kubectl get -w` prints while the block runs."""
    seen: list[dict[str, Any]] = []
    command = cluster.kubectl_command("get", resource, "--watch", "--output=json")
    with tempfile.TemporaryFile("w+") as output:  # a pipe would be full soon
        process = cluster.hosts[1].popen(*command, stdout=output)
        try:
            cluster.wait_for("what there is to be printed", lambda: _written(output))
            yield seen
            cluster.kubectl("annotate", resource, "--all", "--overwrite", f"watched-by={process.pid}")
            mark = f'"watched-by": "{process.pid}"'
            cluster.wait_for("the last change to be printed", lambda: mark in _written(output))
        finally:
            process.terminate()
            process.wait(60)
            seen.extend(objects(_written(output)))


def _written(output: IO[str]) -> str:
    """All that a process has written to a file, whose position is the process's."""
    return os.pread(output.fileno(), 1 << 30, 0).decode()


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects that stand one after another."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        found, at = decoder.raw_decode(text, at)
        yield found


def test_every_replica_answers_at_the_services_address(one_host: Cluster, hello: str) -> None:
    assert len(pod_names(one_host)) == 3
    assert hostnames(one_host, hello) == pod_names(one_host)
    assert one_host.curl(f"http://{hello}/").endswith(": welcome to mini8s\n")


def test_the_services_name_resolves_through_the_cluster(one_host: Cluster, hello: str) -> None:
    said = one_host.hosts[1].run("dig", "+short", "@10.43.0.10", "hello.default.svc.cluster.local")
    assert said.split() == [hello]


def test_kubectl_works_from_another_host(one_host: Cluster, hello: str) -> None:
    listed = one_host.kubectl("get", "pods,services", "--output=name", on=2).split()
    assert f"pod/{min(pod_names(one_host))}" in listed
    assert "service/hello" in listed


def test_scaling_to_four_and_back(one_host: Cluster, hello: str) -> None:
    one_host.kubectl("scale", "deployment/hello", "--replicas=4")
    one_host.wait_for("four to answer", lambda: len(hostnames(one_host, hello)) == 4)
    one_host.kubectl("scale", "deployment/hello", "--replicas=3")
    one_host.wait_for("three pods", lambda: len(pod_names(one_host)) == 3)
    assert hostnames(one_host, hello) == pod_names(one_host)


def test_a_rolling_update_and_its_undo_fail_no_request(one_host: Cluster, hello: str) -> None:
    one_host.kubectl("set", "image", "deployment/hello", "web=mini8s-hello:v1")  # after a try that failed
    one_host.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
    with (
        watched(one_host, "replicasets") as replica_sets,
        traffic(one_host.hosts[1], f"http://{hello}/") as seen,
    ):
        one_host.kubectl("set", "image", "deployment/hello", "web=mini8s-hello:v2")
        one_host.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
    assert seen.failures == []
    assert {answer.split()[1] for answer in seen.answers} == {"v1", "v2"}
    assert steps(replica_sets) == [(3, 0), (3, 1), (2, 1), (2, 2), (1, 2), (1, 3), (0, 3)]

    with traffic(one_host.hosts[1], f"http://{hello}/") as seen:
        one_host.kubectl("rollout", "undo", "deployment/hello")
        one_host.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
    assert seen.failures == []
    assert one_host.curl(f"http://{hello}/").startswith("hello v1 ")


def steps(replica_sets: list[dict[str, Any]]) -> Steps:
    """How many pods the old and the new ReplicaSet were to have, each time that changed."""
    wanted: dict[str, int] = {}
    old = next(one["metadata"]["name"] for one in replica_sets if one["spec"]["replicas"])
    found: Steps = []
    for replica_set in replica_sets:
        wanted[replica_set["metadata"]["name"]] = replica_set["spec"]["replicas"]
        if old in wanted:
            found.append((wanted[old], sum(wanted.values()) - wanted[old]))
    return [step for step, before in zip(found, [None, *found], strict=False) if step != before]


def test_kubectl_get_watch_follows_live(one_host: Cluster, hello: str) -> None:
    one_host.wait_for("the pods of earlier rollouts to be gone", lambda: len(pod_names(one_host)) == 3)
    with watched(one_host, "pods") as pods:
        victim = min(pod_names(one_host))
        one_host.kubectl("delete", "pod", victim)
        one_host.wait_for("its successor", lambda: len(pod_names(one_host) - {victim}) == 3)
    assert any("deletionTimestamp" in pod["metadata"] for pod in pods if pod["metadata"]["name"] == victim)
    assert len({pod["metadata"]["name"] for pod in pods}) == 4


@pytest.mark.parametrize(
    ("form", "begins"),
    [("", '{\n  "'), ("?pretty=false", '{"'), ("?as=yaml", "apiVersion: v1"), ("?as=table", "NAME")],
)
def test_curl_reads_pods_in_every_form(one_host: Cluster, hello: str, form: str, begins: str) -> None:
    path = f"/api/v1/namespaces/default/pods{form}"
    said = one_host.api(path)
    assert said.startswith(begins)
    assert min(pod_names(one_host)) in said
    server = one_host.hosts[1].data / "server"
    tls = ("--cacert", "tls/ca.crt"), ("--cert", "cred/admin.crt"), ("--key", "cred/admin.key")
    flags = [word for flag, name in tls for word in (flag, f"{server}/{name}")]
    assert one_host.curl(*flags, f"https://10.99.0.11:6443{path}").startswith(begins)


def test_a_stranger_gets_nothing(one_host: Cluster) -> None:
    said = one_host.curl("--insecure", "https://10.99.0.11:6443/api/v1/pods")
    assert json.loads(said)["code"] == 401


def test_the_server_stops_soon_and_leaves_pods_running(one_host: Cluster, hello: str) -> None:
    running = one_host.hosts[1].docker("ps", "--quiet")
    assert one_host.programs[1].stop() == 0
    assert one_host.hosts[1].docker("ps", "--quiet") == running
    assert one_host.curl(f"http://{hello}/").startswith("hello v1 ")
    one_host.server(1)
    one_host.wait_ready("h1")
    time.sleep(2)
    assert one_host.hosts[1].docker("ps", "--quiet") == running
