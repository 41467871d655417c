"""How long it takes from a pod that is Ready in the API to its slot in the kernel of a host: the server, its
controllers and an agent at work, and a pod that nobody runs, whose status is written by hand."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from hosts import Hosts
from hosts.cluster import Cluster

from bench.figure import Figure, middle
from mini8s.agent.network import netns
from mini8s.agent.network.nft import Nft
from mini8s.agent.proxy.layout import ENDPOINTS, SHAPE
from mini8s.client.rest import Endpoint, Rest
from mini8s.objects.kinds import PODS, SERVICES

ROUNDS = 30
PREFIX = os.environ.get("MINI8S_HOSTS_PREFIX", "m8b")
_SLOT = ("10.42.77.7", 8080)


def figures() -> Iterator[Figure]:
    with Hosts(PREFIX) as hosts:
        hosts.down()
        with Cluster(hosts.up(1)) as cluster:
            cluster.server(1)
            cluster.wait_ready("h1")
            host = cluster.hosts[1]
            rest = Rest(Endpoint(unix_socket=f"{host.data}/server/api.sock"), user_agent="bench")
            _prepare(rest)
            nft = netns.inside(f"/run/netns/{hosts.place.host(1)}", lambda: Nft(SHAPE))
            took = []
            for _ in range(ROUNDS):
                for ready in (True, False):
                    began = time.perf_counter()
                    _say(rest, ready=ready)
                    while (_SLOT in nft.elements(ENDPOINTS).values()) != ready:
                        if time.perf_counter() - began > 10:
                            raise RuntimeError("the proxy did not hear of a pod within 10 s")
                    if ready:
                        took.append((time.perf_counter() - began) * 1e3)
                    time.sleep(0.05)
            nft.close()
    yield middle("proxy, from writing Ready to the kernel's element", took, "ms")


def _prepare(rest: Rest) -> None:
    web = {
        "containers": [{"name": "c", "image": "i"}],
        "nodeName": "h1",
        "tolerations": [{"operator": "Exists"}],
    }
    labels = {"metadata": {"namespace": "default", "name": "bench", "labels": {"app": "bench"}}}
    rest.create(PODS, {"apiVersion": "v1", "kind": "Pod", **labels, "spec": web | {"nodeName": "nowhere"}})
    spec = {"selector": {"app": "bench"}, "ports": [{"port": 80, "targetPort": 8080}]}
    rest.create(SERVICES, {"apiVersion": "v1", "kind": "Service", **labels, "spec": spec})


def _say(rest: Rest, *, ready: bool) -> None:
    condition = {"type": "Ready", "status": str(ready)}
    status = {"phase": "Running", "podIP": _SLOT[0], "podIPs": [{"ip": _SLOT[0]}], "conditions": [condition]}
    rest.patch(PODS, "default", "bench", {"status": status}, subresource="status")
