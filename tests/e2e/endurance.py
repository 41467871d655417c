"""What a Service's clients notice of changes behind it: nothing. The tests run a short version; by hand, on
three hosts of its own (as root, in the checkout, after scripts/test has made .venv):

    PYTHONPATH=.:tests .venv/bin/python tests/e2e/endurance.py roll|toggle|away [SECONDS]

`away` stops the server for that long, which has a host of its own; three others go on without it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from e2e.load import Load, load
from hosts import Host, Hosts
from hosts.cluster import Cluster

from mini8s.client.rest import Endpoint, Rest
from mini8s.objects.kinds import ENDPOINTSLICES
from scripts import images

ROLL_RATE, TOGGLE_RATE, AWAY_RATE = 2000, 500, 20  # requests a second
REPLICAS = 5
PAUSE_SECONDS = 10.0  # between two updates
TOGGLES = 50  # at least, however slow the API is
# The image's own server starts a process for each request and lets nine wait: this one is quick enough that
# what is slow or fails is the network's. On SIGTERM it goes on for as long as hosts may take to hear of it.
_SERVER = """
import signal, socket, sys, time
server = socket.create_server(("0.0.0.0", 8080), backlog=4096)
server.settimeout(0.2)
ends = [None]
signal.signal(signal.SIGTERM, lambda *_: ends.__setitem__(0, time.monotonic() + 2))
while ends[0] is None or time.monotonic() < ends[0]:
    try:
        client, _ = server.accept()
    except TimeoutError:
        continue
    client.settimeout(2)
    try:
        client.recv(4096)
        client.send(b"HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n")
    except OSError as error:
        print(error)
    client.close()
"""
_PORTS = [{"port": 80, "targetPort": 8080}]


def roll(cluster: Cluster, client: Host, seconds: float, rate: int = ROLL_RATE) -> tuple[Load, int]:
    """Rolling updates of five replicas, one after the other, while a host asks through the VIP; how many."""
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(_deployment()))
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(_service("roll", {"app": "roll"})))
    _rolled_out(cluster)
    address, updates = str(cluster.get("service", "roll")["spec"]["clusterIP"]), 0
    cluster.wait_for("the VIP to answer", lambda: answers(client, address))
    with load(client, address, 80, rate) as seen:
        end = time.monotonic() + seconds
        while time.monotonic() < end or not updates:
            updates += 1
            cluster.kubectl("set", "env", "deployment/roll", f"UPDATE={updates}")
            _rolled_out(cluster)
            time.sleep(min(PAUSE_SECONDS, max(0.0, end - time.monotonic())))
    return seen, updates


def toggle(cluster: Cluster, client: Host, seconds: float, rate: int = TOGGLE_RATE) -> tuple[Load, int]:
    """One of two endpoints made ready and not, as fast as the API takes it, while a host asks; how often."""
    pods = [
        pod["status"]["podIP"]
        for pod in cluster.get("pods", "--selector=app=roll")["items"]
        if "deletionTimestamp" not in pod["metadata"]
    ][:2]
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(_service("toggle", {})))
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "toggle", "labels": {"kubernetes.io/service-name": "toggle"}},
        "addressType": "IPv4",
        "ports": [{"port": 8080, "protocol": "TCP", "name": ""}],
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in pods],
    }
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(piece))
    address = str(cluster.get("service", "toggle")["spec"]["clusterIP"])
    cluster.wait_for("the VIP to answer", lambda: answers(client, address))
    server = cluster.hosts[cluster.server_number]
    rest = Rest(Endpoint(unix_socket=f"{server.data}/server/api.sock"), user_agent="endurance")
    times = 0
    with load(client, address, 80, rate) as seen:
        end = time.monotonic() + seconds
        while time.monotonic() < end or times < TOGGLES:
            times += 1
            ends = [{"addresses": [one], "conditions": {"ready": True}} for one in pods]
            ends[1]["conditions"] = {"ready": times % 2 == 0}
            rest.patch(ENDPOINTSLICES, "default", "toggle", {"endpoints": ends})
    return seen, times


def away(cluster: Cluster, seconds: float, rate: int = AWAY_RATE) -> tuple[list[Load], Names]:
    """The server stopped, while all other hosts ask a VIP, and ask for its name; its replicas are on all of
    them."""
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(_deployment()))
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(_service("roll", {"app": "roll"})))
    _rolled_out(cluster)
    address = str(cluster.get("service", "roll")["spec"]["clusterIP"])
    clients = [host for number, host in cluster.hosts.items() if number != cluster.server_number]
    for one in clients:
        cluster.wait_for("the VIP to answer", lambda one=one: answers(one, address))  # type: ignore[misc]
        cluster.wait_for("its name", lambda one=one: resolved(one) == address)  # type: ignore[misc]
    names = Names()
    cluster.programs[cluster.server_number].stop()
    with ExitStack() as stack:
        loads = [stack.enter_context(load(one, address, 80, rate)) for one in clients]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for one in clients:
                names.count(one, resolved(one), address)
            time.sleep(0.5)
    cluster.server(cluster.server_number, "--disable-agent")
    cluster.wait_ready(*(f"h{one.number}" for one in clients))
    return loads, names


@dataclass
class Names:
    """What came of questions for a name."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)

    def count(self, host: Host, said: str, expected: str) -> None:
        if said == expected:
            self.right += 1
        else:
            self.wrong.append(f"h{host.number}: {said}")


def resolved(client: Host) -> str:
    """What the cluster's DNS address says of the Service on that host."""
    words = ("dig", "+short", "+tries=1", "+time=2", "@10.43.0.10", "roll.default.svc.cluster.local")
    return client.call(*words).stdout.strip()


def answers(client: Host, address: str) -> bool:
    return client.call("curl", "-s", "--max-time", "1", f"http://{address}/healthz").returncode == 0


def _rolled_out(cluster: Cluster) -> None:
    cluster.kubectl("rollout", "status", "deployment/roll", "--timeout=120s", timeout=130)


def _service(name: str, selector: dict[str, str]) -> dict[str, object]:
    spec = {"ports": _PORTS} | ({"selector": selector} if selector else {})
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _deployment() -> dict[str, object]:
    """The machine's own Python, which runs this too, mounted into the smallest of images."""
    paths = sorted(filter(os.path.exists, {"/usr", "/lib", "/lib64", sys.base_prefix}))
    web = {
        "name": "web",
        "image": "mini8s-busybox:1",
        "command": [os.path.realpath(sys.executable), "-ISc", _SERVER],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": f"v{i}", "mountPath": path, "readOnly": True} for i, path in enumerate(paths)
        ],
    }
    volumes = [{"name": f"v{i}", "hostPath": {"path": path}} for i, path in enumerate(paths)]
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": {"app": "roll"}},
        "strategy": {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}},
        "template": {
            "metadata": {"labels": {"app": "roll"}},
            "spec": {"containers": [web], "volumes": volumes},
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "roll"}, "spec": spec}


def main(what: str, seconds: float) -> int:
    prefix = os.environ.get("MINI8S_HOSTS_PREFIX", "m8e")
    with tempfile.TemporaryDirectory() as folder, Hosts(prefix) as hosts:
        archives = images.write(images.everything(), Path(folder))
        hosts.down()  # of a run that was killed
        if what == "away":
            with Cluster(hosts.up(4), archives) as cluster:
                return _main_away(cluster, seconds)
        with Cluster(hosts.up(3), archives) as cluster:
            cluster.server(1)
            cluster.wait_ready("h1")
            cluster.agent(2)
            cluster.agent(3)
            cluster.wait_ready("h1", "h2", "h3")
            seen, times = roll(cluster, cluster.hosts[3], seconds if what == "roll" else 0)
            said = f"{times} rolling updates"
            if what == "toggle":
                seen, times = toggle(cluster, cluster.hosts[3], seconds)
                said = f"{times:,} changes of an endpoint"
            print(f"{said}: {seen.line()}")
            print("\n".join(seen.failures[:10]))
    return bool(seen.failures)


def _main_away(cluster: Cluster, seconds: float) -> int:
    cluster.server(1, "--disable-agent")
    cluster.wait_for("the API", lambda: cluster.api("/readyz") == "ok")
    for number in (2, 3, 4):
        cluster.agent(number)
    cluster.wait_ready("h2", "h3", "h4")
    loads, names = away(cluster, seconds)
    failures = [*names.wrong, *(failure for one in loads for failure in one.failures)]
    for number, seen in enumerate(loads, 2):
        print(f"the server stopped for {seconds:.0f} s, h{number} through the VIP: {seen.line()}")
    print(f"names asked for on all hosts: {names.right:,} answered rightly, {len(names.wrong)} not")
    print("\n".join(failures[:10]))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60.0))
