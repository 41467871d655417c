"""A cluster of two families on real hosts and a real engine, which switches IPv6 off in its sandboxes.

Addresses in the API, Services by both, names, and what pods are told of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Hosts, network
from hosts.cluster import Cluster

RANGES = ("--cluster-cidr=10.42.0.0/16,fd42::/48", "--service-cidr=10.43.0.0/16,fd43::/112")
GATEWAY6 = "fd99::1"
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: dual}
spec:
  replicas: 2
  selector: {matchLabels: {app: dual}}
  template:
    metadata: {labels: {app: dual}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule,
           labelSelector: {matchLabels: {app: dual}}}
      containers:
        - name: web
          image: mini8s-hello:v1
          env:
            - {name: IPS, valueFrom: {fieldRef: {fieldPath: status.podIPs}}}
            - {name: HOSTS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}
          readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: dual}
spec:
  type: LoadBalancer
  ipFamilyPolicy: PreferDualStack
  selector: {app: dual}
  ports: [{port: 8088, targetPort: 8080, nodePort: 30088}]
"""


@pytest.fixture(scope="module")
def both(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    """A server on h1 and an agent on h2, which find their addresses by themselves."""
    made = hosts.up(2)
    network.ip("-n", made[0].place.switch, "addr", "replace", f"{GATEWAY6}/64", "dev", "br0", "nodad")
    for number, host in enumerate(made, 1):
        name = host.place.host(number)
        network.ip("-n", name, "addr", "replace", f"{address6(number)}/64", "dev", "eth0", "nodad")
        network.ip("-n", name, "route", "replace", "default", "via", GATEWAY6)
    with Cluster(made, image_archives) as cluster:
        cluster.server(1, *RANGES, "--node-ip=")
        cluster.wait_ready("h1")
        cluster.agent(2, "--node-ip=")
        cluster.wait_ready("h1", "h2")
        cluster.kubectl("apply", "--filename=-", stdin=MANIFEST)
        cluster.kubectl("rollout", "status", "deployment/dual", "--timeout=120s")
        yield cluster


def address6(number: int) -> str:
    return f"fd99::{10 + number:x}"


def test_nodes_and_pods_have_an_address_of_each(both: Cluster) -> None:
    for number, name in enumerate(("h1", "h2"), 1):
        node = both.get("node", name)
        internal = [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
        assert internal[1] == address6(number)
        assert [one.partition("/")[2] for one in node["spec"]["podCIDRs"]] == ["24", "64"]
    for pod in both.get("pods", "--selector=app=dual")["items"]:
        ips = [one["ip"] for one in pod["status"]["podIPs"]]
        assert (pod["status"]["podIP"], len(ips)) == (ips[0], 2)
        assert ips[1].startswith("fd42:")
        hosts = [one["ip"] for one in pod["status"]["hostIPs"]]
        said = both.kubectl(
            "exec", pod["metadata"]["name"], "--", "sh", "-c", "echo $IPS $HOSTS; cat /etc/hosts"
        )
        assert said.split()[:2] == [",".join(ips), ",".join(hosts)]
        assert f"{ips[1]}\t{pod['metadata']['name']}" in said


def test_a_service_answers_by_both_on_every_host(both: Cluster) -> None:
    service = both.get("service", "dual")
    assert service["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    slices = both.get("endpointslices", "--selector=kubernetes.io/service-name=dual")["items"]
    assert sorted(one["addressType"] for one in slices) == ["IPv4", "IPv6"]
    assert all(len(one["endpoints"]) == 2 for one in slices)
    balanced = both.wait_for(
        "addresses of a load balancer",
        lambda: (both.get("service", "dual")["status"].get("loadBalancer") or {}).get("ingress"),
    )
    assert {address6(1), address6(2)} < {one["ip"] for one in balanced}
    pods = {pod["metadata"]["name"] for pod in both.get("pods", "--selector=app=dual")["items"]}
    places = [(one, 8088) for one in service["spec"]["clusterIPs"]]
    places += [(address6(1), 30088), (address6(2), 30088), (address6(1), 8088)]
    for address, port in places:
        url = f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"
        for on in (1, 2):
            both.wait_for(
                f"all pods behind {url} on h{on}", lambda url=url, on=on: seen(both, url, on) == pods
            )


def seen(cluster: Cluster, url: str, on: int) -> set[str]:
    said = [cluster.curl("--globoff", url, on=on) for _ in range(8)]
    return {one.split(" from ")[1].split(":")[0] for one in said if " from " in one}


def test_names_are_answered_to_pods_by_the_second_address(both: Cluster) -> None:
    pod = both.get("pods", "--selector=app=dual")["items"][0]["metadata"]["name"]
    dns = both.get("service", "kube-dns", "--namespace=kube-system")["spec"]["clusterIPs"]
    wanted = both.get("service", "dual")["spec"]["clusterIPs"]
    name = "dual.default.svc.cluster.local"
    for server in dns:
        said = both.kubectl("exec", pod, "--", "nslookup", name, server)
        assert all(one in said for one in wanted), said
    assert both.kubectl("exec", pod, "--", "cat", "/etc/resolv.conf").count("nameserver") == 2


def test_the_second_address_is_given_up_and_taken_again(both: Cluster) -> None:
    for policy, count in (("SingleStack", 1), ("RequireDualStack", 2)):
        patch = json.dumps({"spec": {"ipFamilyPolicy": policy}})
        both.kubectl("patch", "service", "dual", f"--patch={patch}")
        assert len(both.get("service", "dual")["spec"]["clusterIPs"]) == count
        both.wait_for(
            f"slices of {count} families",
            lambda count=count: (
                len(both.get("endpointslices", "--selector=kubernetes.io/service-name=dual")["items"])
                == count
            ),
        )
