"""kubectl proxy, cluster-info and get --raw: services, pods and a node's own paths through the API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import kubectls
import pytest
from hosts.cluster import Cluster
from kubectls import Kubectl

HELLO = "/api/v1/namespaces/default/services/hello"


@pytest.fixture(params=kubectls.installed(), ids=str)
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    found: Kubectl = request.param
    return found


@contextmanager
def proxied(cluster: Cluster, kubectl: Kubectl) -> Iterator[str]:
    """`kubectl proxy`'s address on h1."""
    _, *options = cluster.kubectl_command("proxy", "--port=0")
    command = cluster.hosts[1].command(kubectl.program, *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield "http://" + process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def test_kubectl_proxy_shows_a_service(one_host: Cluster, hello: str, kubectl: Kubectl) -> None:
    with proxied(one_host, kubectl) as base:
        for port in ("", ":http", ":80"):
            said = one_host.hosts[1].run("curl", "--silent", "--location", f"{base}{HELLO}{port}/proxy/")
            assert said.startswith("hello v1 from "), said
        moved = one_host.hosts[1].run("curl", "--silent", "--head", f"{base}{HELLO}/proxy")
        assert f"{HELLO}/proxy/" in moved


def test_cluster_info(one_host: Cluster, kubectl: Kubectl) -> None:
    _, *options = one_host.kubectl_command("cluster-info")
    said = one_host.hosts[1].run(kubectl.program, *options)
    assert "is running at https://10.99.0.11:6443\n" in said.replace("\x1b[0m", "").replace("\x1b[0;33m", "")
    assert "/api/v1/namespaces/kube-system/services/kube-dns:dns/proxy" in said


def test_a_pod_a_node_and_who_is_not_there(one_host: Cluster, hello: str) -> None:
    name = one_host.get("pods", "--selector=app=hello")["items"][0]["metadata"]["name"]
    assert one_host.kubectl("get", "--raw", f"/api/v1/namespaces/default/pods/{name}:8080/proxy/")
    assert one_host.kubectl("get", "--raw", "/api/v1/nodes/h1/proxy/healthz") == "ok"
    assert "control-plane" in one_host.kubectl("get", "node", "h1", "--no-headers")
    assert f'"name":"{name}"' in one_host.kubectl("get", "--raw", "/api/v1/nodes/h1/proxy/pods")
    path = f"/api/v1/nodes/h1/proxy/containerLogs/default/{name}/web"
    one_host.kubectl("get", "--raw", path)
    refused = json.loads(one_host.api(f"/api/v1/namespaces/default/pods/{name}:9/proxy/"))
    assert refused["reason"] == "ServiceUnavailable"
    assert refused["message"].startswith("error trying to reach service: dial tcp 10.42.0.")
    assert refused["message"].endswith(":9: connect: connection refused")
