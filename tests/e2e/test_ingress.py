"""Ingresses on a cluster: made with kubectl, asked from another host, with TLS, and with nobody there."""

from __future__ import annotations

import json
from pathlib import Path

from hosts.cluster import Cluster

from tests.fakes.ingresses import pair


def ask(cluster: Cluster, url: str, *options: str) -> str:
    """What another host hears of h1 under a name; empty while it hears nothing."""
    name = url.partition("//")[2].partition("/")[0]
    where = f"{name}::10.99.0.11:"
    answer = cluster.hosts[2].call("curl", "-s", "--max-time", "3", "--connect-to", where, *options, url)
    return answer.stdout if answer.returncode == 0 else ""


def address(cluster: Cluster, name: str) -> str:
    return cluster.kubectl("get", "ingress", name, "--output=jsonpath={.status.loadBalancer.ingress[*].ip}")


def test_an_ingress_from_kubectl_to_another_host(one_host: Cluster, hello: str, tmp_path: Path) -> None:
    cluster, kubectl = one_host, one_host.kubectl
    for name, data in zip(("tls.crt", "tls.key"), pair("shop.example"), strict=True):
        (tmp_path / name).write_bytes(data)
    certificate, key = f"--cert={tmp_path}/tls.crt", f"--key={tmp_path}/tls.key"
    kubectl("create", "secret", "tls", "shop", certificate, key)
    rule = "shop.example/*=hello:80,tls=shop"
    kubectl("create", "ingress", "shop", f"--rule={rule}", "--rule=shop.example/none=none:80")
    assert "mini8s" in kubectl("get", "ingress", "shop", "--no-headers").split()
    cluster.wait_for("an answer", lambda: ask(cluster, "http://shop.example/").startswith("hello v1 from "))
    said = ask(cluster, "https://shop.example/", "--cacert", str(tmp_path / "tls.crt"))
    assert said.startswith("hello v1 from ")
    assert ask(cluster, "http://shop.example/none") == "nobody serves this\n"
    assert ask(cluster, "http://other.example/") == "no Ingress is for this\n"
    cluster.wait_for("its address", lambda: address(cluster, "shop") == "10.99.0.11")
    cluster.wait_for(
        "what is missing to be told",
        lambda: 'Service "none" not found' in kubectl("describe", "ingress", "shop"),
    )
    counted = kubectl("get", "--raw", "/api/v1/nodes/h1/proxy/metrics")
    assert "\nmini8s_ingress_paths 2\n" in counted
    assert "\nmini8s_dns_synced 1\n" in counted


def test_a_port_of_the_host_is_had_by_who_is_older(one_host: Cluster) -> None:
    """An Ingress or a load balancer; who comes second is told, and has it when the first is gone."""
    cluster, kubectl = one_host, one_host.kubectl
    kubectl("create", "service", "loadbalancer", "late", "--tcp=80:8080")

    def late() -> str:
        return json.dumps(cluster.get("service", "late")["status"])

    cluster.wait_for("the second to be told", lambda: "10.99.0.11 is taken by Ingress default/shop" in late())
    kubectl("delete", "ingress", "shop")
    cluster.wait_for("the second to have it", lambda: '"ingress": [{"ip": "10.99.0.11"' in late())
    assert "LoadBalancerPortsError" not in late()
    kubectl("create", "ingress", "shop", "--rule=shop.example/*=hello:80")
    said = "not served at h1: port 80/TCP is taken by Service default/late"
    cluster.wait_for("the Ingress to be told", lambda: said in kubectl("describe", "ingress", "shop"))
    assert address(cluster, "shop") == ""
    kubectl("delete", "service", "late")
    cluster.wait_for("the Ingress to have it", lambda: address(cluster, "shop") == "10.99.0.11")
    cluster.wait_for("an answer", lambda: ask(cluster, "http://shop.example/").startswith("hello v1 from "))


def test_it_is_served_while_nobody_is_there_and_after(one_host: Cluster, hello: str) -> None:
    cluster = one_host
    count = len(cluster.get("pods", "--selector=app=hello")["items"])
    cluster.programs[1].kill()
    assert ask(cluster, "http://shop.example/").startswith("hello v1 from ")
    cluster.server(1)
    cluster.wait_ready("h1")
    assert ask(cluster, "http://shop.example/").startswith("hello v1 from ")
    cluster.kubectl("scale", "deployment", "hello", f"--replicas={count + 1}")
    cluster.wait_for("the new pod to answer", lambda: len(answers(cluster)) == count + 1)
    cluster.kubectl("delete", "ingressclass", "mini8s")
    cluster.wait_for("nobody to serve it", lambda: not ask(cluster, "http://shop.example/"))


def answers(cluster: Cluster) -> set[str]:
    return {ask(cluster, "http://shop.example/") for _ in range(8)} - {""}
