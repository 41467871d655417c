"""Two hosts: an agent joins, pods spread and reach each other, and what breaks on one is made good."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import endurance
from hosts import Host, Hosts, network
from hosts.cluster import Cluster
from hosts.place import GATEWAY

LEASE_SECONDS, GRACE_SECONDS = 8, 12  # of a node's lease, and the server's patience with a silent node
LEASE = f"--kubelet-arg=node-lease-duration-seconds={LEASE_SECONDS}"
NODE_PORT = 30080
NODE_IP = "--node-ip="  # whatever the default route has, also while it changes
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
  type: NodePort
  selector: {{app: pair}}
  ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]
"""


@pytest.fixture(scope="module")
def pair(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    """A server on h1 and an agent on h2, both Ready, with four pods behind a Service."""
    with Cluster(hosts.up(2), image_archives) as cluster:
        cluster.server(1, NODE_IP, f"--node-monitor-grace-period={GRACE_SECONDS}", LEASE)
        cluster.wait_ready("h1")
        cluster.agent(2, NODE_IP, LEASE)
        cluster.wait_ready("h1", "h2")
        cluster.kubectl("apply", "--filename=-", stdin=MANIFEST)
        cluster.kubectl("rollout", "status", "deployment/pair", "--timeout=120s")
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
        assert near["status"]["podIP"] in inside(pair, near, request)


def vip(cluster: Cluster) -> str:
    return str(cluster.get("service", "pair")["spec"]["clusterIP"])


def inside(cluster: Cluster, pod: dict[str, Any], script: str) -> str:
    """What a shell in the pod's container prints."""
    return host_of(cluster, pod).docker("exec", container(cluster, pod), "sh", "-c", script)


def reaches_all(cluster: Cluster, address: str, names: set[str], *, on: int) -> bool:
    """Whether every pod of those, and nobody else, answers at an address, asked often enough."""
    seen: set[str] = set()
    for _ in range(100):
        seen.add(cluster.curl(f"http://{address}/", on=on).split()[3].rstrip(":"))
        if seen == names:
            return True
    return False


def test_the_service_leads_to_pods_on_either_host_from_either_host(pair: Cluster) -> None:
    address, names = vip(pair), {pod["metadata"]["name"] for pod in pods(pair)}
    for number in (1, 2):
        assert reaches_all(pair, address, names, on=number)
        for host in pair.hosts.values():  # its node port, on this host and from the other
            assert reaches_all(pair, f"{host.ip}:{NODE_PORT}", names, on=number)


def test_a_host_port_leads_to_the_pod_that_has_it_now(pair: Cluster) -> None:
    """A load balancer with the same port gives the pod's host up, and has it again when the pod is gone."""
    address, balanced = pair.hosts[1].ip, [host.ip for host in pair.hosts.values()]
    spec = {
        "type": "LoadBalancer",
        "selector": {"app": "pair"},
        "ports": [{"port": 8000, "targetPort": 8080}],
    }
    made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "before"}, "spec": spec}
    pair.kubectl("apply", "--filename=-", stdin=json.dumps(made))
    pair.wait_for("both hosts to be given", lambda: ingress(pair, "before") == balanced)
    for name in ("first", "second"):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "nodeName": "h1",
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {
                        "name": "web",
                        "image": "mini8s-hello:v1",
                        "ports": [{"containerPort": 8080, "hostPort": 8000}],
                    }
                ],
            },
        }
        pair.kubectl("apply", "--filename=-", stdin=json.dumps(pod))
        pair.kubectl("wait", "pod", name, "--for=condition=Ready", "--timeout=120s")
        pair.wait_for("the host to be given up", lambda: ingress(pair, "before") == balanced[1:])
        (condition,) = pair.get("service", "before")["status"]["conditions"]
        assert condition["message"] == f"port 8000/TCP of {address} is taken by Pod default/{name}"
        for host in (1, 2):
            pair.wait_for(
                "the pod",
                lambda host=host, name=name: f"from {name}" in pair.curl(f"http://{address}:8000/", on=host),  # type: ignore[misc]
            )
        pair.kubectl("delete", "pod", name)
    pair.wait_for("both hosts to be given again", lambda: ingress(pair, "before") == balanced)
    assert "LoadBalancerPortsError" not in json.dumps(pair.get("service", "before")["status"])
    pair.kubectl("delete", "service", "before")


def test_endpoints_that_somebody_wrote_are_served(pair: Cluster) -> None:
    """The older kind, for a Service without a selector; those at which nobody can be are told."""
    pod = pods(pair, "h2")[0]["status"]["podIP"]
    metadata = {"name": "by-hand"}
    made = (
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}},
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": metadata,
            "subsets": [
                {"addresses": [{"ip": pod}], "ports": [{"port": 8080}]},
                {"notReadyAddresses": [{"ip": "10.42.250.9"}], "ports": [{"port": 8080}]},
            ],
        },
    )
    for one in made:
        pair.kubectl("apply", "--filename=-", stdin=json.dumps(one))
    address = pair.get("service", "by-hand")["spec"]["clusterIP"]
    for host in (1, 2):
        pair.wait_for("an answer", lambda host=host: "hello" in pair.curl(f"http://{address}/", on=host))  # type: ignore[misc]
    told = (
        "get",
        "events",
        "--field-selector=involvedObject.name=by-hand",
        "--output=custom-columns=:.message",
    )
    pair.wait_for(
        "the stray to be told", lambda: "10.42.250.9 of EndpointSlice by-hand-" in pair.kubectl(*told)
    )
    pair.kubectl("delete", "service,endpoints", "by-hand")
    mirrors = ("endpointslices", "--selector=kubernetes.io/service-name=by-hand")
    pair.wait_for("the mirrors to go, too", lambda: pair.get(*mirrors)["items"] == [])


def test_a_load_balancer_has_the_hosts_addresses(pair: Cluster) -> None:
    """Answered on each of them; the host of a Local one is where its pods are, and a port is had once."""
    ports = [{"port": 8088, "targetPort": 8080}]
    spec = {"type": "LoadBalancer", "selector": {"app": "pair"}, "ports": ports}
    for name in ("balanced", "too-late"):
        made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        pair.kubectl("apply", "--filename=-", stdin=json.dumps(made))
        pair.wait_for(f"{name} to be seen to", lambda name=name: pair.get("service", name)["status"] != EMPTY)
    assert ingress(pair, "balanced") == [host.ip for host in pair.hosts.values()]
    for host in pair.hosts.values():
        pair.wait_for("an answer", lambda host=host: pair.curl(f"http://{host.ip}:8088/", on=3 - host.number))
    (condition,) = pair.get("service", "too-late")["status"]["conditions"]
    assert condition["reason"] == "PortConflict"
    assert "port 8088/TCP of 10.99.0.11 is taken by Service default/balanced" in condition["message"]
    pair.kubectl("delete", "service", "balanced")
    pair.wait_for("the second to have them", lambda: len(ingress(pair, "too-late")) == 2)
    pair.kubectl("delete", "service", "too-late")


EMPTY: dict[str, Any] = {"loadBalancer": {}}


def ingress(cluster: Cluster, name: str) -> list[str]:
    return [one["ip"] for one in cluster.get("service", name)["status"]["loadBalancer"].get("ingress", [])]


def test_clients_notice_nothing_of_what_changes_behind_a_service(pair: Cluster) -> None:
    """A short version of what `endurance.py` does for as long as one likes."""
    seen, _ = endurance.roll(pair, pair.hosts[2], 1.0, rate=200)
    assert (seen.failures, seen.answered > 200) == ([], True)
    seen, _ = endurance.toggle(pair, pair.hosts[2], 2.0, rate=200)
    assert (seen.failures, seen.answered > 200) == ([], True)
    assert seen.sent_again == 0
    pair.kubectl("delete", "deployment/roll", "service/roll", "service/toggle")


def test_a_pod_finds_the_service_by_name(pair: Cluster, tmp_path: Path) -> None:
    """Through the search domains; its address leads to pods on both hosts, the asking one among them."""
    address, names = vip(pair), {pod["metadata"]["name"] for pod in pods(pair)}
    asker = pods(pair, "h2")[0]
    for name in ("pair", "pair.default.svc.cluster.local"):
        # busybox asks for the name in every search domain, and fails for those that don't have it
        assert address in inside(pair, asker, f"nslookup {name} || true")
    request = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc {address} 80"
    said = inside(pair, asker, f"for i in $(seq 60); do {request} | tail -n 1; done")
    assert {line.split()[3].rstrip(":") for line in said.splitlines()} == names
    for name in ("pair", "pair.default", "pair.default.svc", "pair.default.svc.cluster.local"):
        assert fetched(pair, asker, f"http://{name}/", tmp_path).startswith("hello v1 ")


def fetched(cluster: Cluster, pod: dict[str, Any], url: str, folder: Path) -> str:
    """What curl gets in the pod's network with the pod's resolv.conf, which the C library reads: a static
    busybox has no such resolver."""
    resolv_conf = folder / "resolv.conf"
    resolv_conf.write_text(inside(cluster, pod, "cat /etc/resolv.conf"))
    script = f"mount --bind {resolv_conf} /etc/resolv.conf && curl -s --max-time 30 {url}"
    network = f"--net=/proc/{process(cluster, pod)}/ns/net"
    command = ("nsenter", network, "unshare", "--mount", "sh", "-c", script)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def process(cluster: Cluster, pod: dict[str, Any]) -> int:
    """The first process of the pod's container."""
    words = ("inspect", "--format={{.State.Pid}}", container(cluster, pod))
    return int(host_of(cluster, pod).docker(*words))


def test_network_policies_hold_on_every_host(pair: Cluster) -> None:
    """The recipes of the documentation: nobody, a namespace, and a port by its range."""
    here, there = pods(pair, "h1")[0], pods(pair, "h2")[0]

    def reaches(near: dict[str, Any], far: dict[str, Any]) -> bool:
        request = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 1 nc {far['status']['podIP']} 8080 || true"
        return "200" in inside(pair, near, request)

    def policy(**spec: Any) -> None:
        metadata = {"name": "rules"}
        obj = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata}
        pair.kubectl("apply", "--filename=-", stdin=json.dumps({**obj, "spec": {"podSelector": {}, **spec}}))

    def both(wanted: bool) -> None:
        for near, far in ((here, there), (there, here)):
            pair.wait_for(f"{wanted}", lambda near=near, far=far: reaches(near, far) == wanted)  # type: ignore[misc]

    try:
        policy(policyTypes=["Ingress"])
        both(False)
        assert all(pair.curl(f"http://{pod['status']['podIP']}:8080/", on=int(pod["spec"]["nodeName"][1]))
                   for pod in (here, there)), "a pod's own host always reaches it"  # fmt: skip
        own = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}
        policy(ingress=[{"from": [own], "ports": [{"port": 8000, "endPort": 8090}]}])
        both(True)
        policy(egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.42.0.0/16"]}}]}],
               policyTypes=["Egress"])  # fmt: skip
        both(False)
    finally:
        pair.kubectl("delete", "networkpolicy", "rules", "--ignore-not-found")
    both(True)


def test_hosts_whose_addresses_change_go_on(pair: Cluster) -> None:
    """An agent's host in its network and to another one, then the server's; back again. No pod restarts, and
    pods, the VIP and the API's own Service are reached from everywhere each time."""
    containers = {number: host.docker("ps", "--quiet") for number, host in pair.hosts.items()}
    network.ip("-n", pair.hosts[1].place.switch, "addr", "replace", "10.99.1.1/24", "dev", "br0")
    moves = (
        (2, "0.12", "0.72"),
        (2, "0.72", "1.72"),
        (2, "1.72", "0.12"),
        (1, "0.11", "0.71"),
        (1, "0.71", "0.11"),
    )
    for number, old, new in moves:
        host = pair.hosts[number]
        host.run("ip", "addr", "del", f"10.99.{old}/24", "dev", "eth0")
        host.run("ip", "addr", "add", f"10.99.{new}/24", "dev", "eth0")
        host.run("ip", "route", "add", "default", "via", GATEWAY.replace(".0.", f".{new[0]}."))
        if number == 2:
            pair.wait_for("the node to say so", lambda new=new: announced(pair, "h2") == f"10.99.{new}")
            pair.wait_for("a way to the pods", lambda: meet(pair))
        else:
            pair.wait_for("the API to be there", lambda new=new: api_address(pair) == f"10.99.{new}")
            pair.wait_for("the API behind its Service", lambda: pair.curl("-k", "https://10.43.0.1/version"))
    pair.wait_for("everybody to meet again", lambda: meet(pair))
    assert {number: host.docker("ps", "--quiet") for number, host in pair.hosts.items()} == containers
    said = pods(pair, "h2")[0]["status"]
    assert (said["hostIP"], said["containerStatuses"][0]["restartCount"]) == ("10.99.0.12", 0)


def announced(cluster: Cluster, node: str) -> str:
    addresses = cluster.get("node", node)["status"]["addresses"]
    return str(next(one["address"] for one in addresses if one["type"] == "InternalIP"))


def api_address(cluster: Cluster) -> str:
    """By root's own door: kubectl is told the address that the server had at its start."""
    said = json.loads(cluster.api("/api/v1/namespaces/default/endpoints/kubernetes"))
    return str(said["subsets"][0]["addresses"][0]["ip"])


def meet(cluster: Cluster) -> bool:
    """Whether the pods of each host answer those of the other, and the VIP both hosts."""
    address = vip(cluster)
    here, there = pods(cluster, "h1")[:1], pods(cluster, "h2")[:1]
    if not here or not there:
        return False
    for near, far in ((here[0], there[0]), (there[0], here[0])):
        for target, port in ((far["status"]["podIP"], 8080), (address, 80)):
            request = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 1 nc {target} {port} || true"
            if "200" not in inside(cluster, near, request):
                return False
    return all(cluster.curl(f"http://{address}/", on=number, timeout=1) for number in (1, 2))


def test_a_killed_container_is_restarted_with_back_off(pair: Cluster) -> None:
    victim = pods(pair, "h2")[0]
    for restarts in (1, 2):
        os.kill(process(pair, victim), signal.SIGKILL)

        def restarted(wanted: int = restarts) -> bool:
            status = pair.get("pod", victim["metadata"]["name"])["status"]["containerStatuses"][0]
            return bool(status["restartCount"] == wanted and status["ready"])

        pair.wait_for(f"restart {restarts}", restarted)
    name = victim["metadata"]["name"]
    about = f"--field-selector=involvedObject.name={name}"
    pair.wait_for("the event", lambda: "BackOff" in pair.kubectl("get", "events", about))


def test_a_host_that_is_cut_off_is_replaced_and_comes_back(pair: Cluster) -> None:
    address, lost = vip(pair), pods(pair, "h2")
    before = {pod["metadata"]["uid"] for pod in lost}
    running = pair.hosts[2].docker("ps", "--quiet")
    pair.hosts[2].cut()
    try:
        pair.wait_for("h2 to be lost", lambda: "h2" not in pair.ready_nodes(), seconds=GRACE_SECONDS + 100)
        pair.wait_for("the Service to leave h2 out", lambda: answers(pair, address, 10))
        pair.wait_for("replacements on h1", lambda: len(pods(pair, "h1")) == 4)
        assert answers(pair, address, 40)
        assert pair.hosts[2].docker("ps", "--quiet") == running
        assert pair.curl(f"http://{lost[0]['status']['podIP']}:8080/", on=2).startswith("hello v1")
    finally:
        pair.hosts[2].mend()
    pair.wait_ready("h1", "h2")

    def leftovers() -> set[str]:
        labels = pair.hosts[2].docker("ps", "--all", '--format={{.Label "mini8s.io/pod-uid"}}').split()
        return before & set(labels)

    pair.wait_for("the old pods to be gone from h2", lambda: not leftovers())
    listed = json.loads(pair.kubectl("get", "pods", "--selector=app=pair", "--output=json"))["items"]
    assert not before & {pod["metadata"]["uid"] for pod in listed}
    pair.wait_for("links and routes of h2 to be those of no pod", lambda: bare(pair.hosts[2]))
    assert not list((pair.hosts[2].data / "agent" / "pods").iterdir())


def answers(cluster: Cluster, address: str, requests: int) -> bool:
    """Whether all of so many requests from h1 are answered; who asks a host that is cut off waits in vain."""
    return all(cluster.curl(f"http://{address}/", timeout=5) for _ in range(requests))


def bare(host: Host) -> bool:
    """Whether nothing of a pod is left in the host's network: only the road to the other host."""
    links = {link["ifname"] for link in json.loads(host.run("ip", "-j", "link"))}
    routes = [route["dst"] for route in json.loads(host.run("ip", "-j", "route"))]
    return links == {"lo", "eth0"} and not [route for route in routes if route.startswith("10.42.1.")]
