"""A host whose cable is pulled and that is then switched off and on: it brings everything back by itself, and
has nothing to mend when its server is there again; that it has another address by then matters to nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, Hosts
from hosts.cluster import Cluster
from hosts.place import GATEWAY
from space import Obj, Space, config_map, container, pod, secret, space

from mini8s.agent.state.journal import Journal

SECRET = "sesame"
NODE_IP = "--node-ip="  # whatever the default route has when the agent starts
NAME = "web.alone.svc.cluster.local"
WEB: Obj = {
    "name": "main",
    "image": "mini8s-hello:v1",
    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
}
SERVICE: Obj = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}
# A host that only the API knows: nobody is there, alone or not. Its pod is one of the Service's all the same.
FAR: list[Obj] = [
    {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "far"},
        "spec": {"unschedulable": True},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.99.0.77"}]},
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-far", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.99.0.78"], "conditions": {"ready": True}, "nodeName": "far"}],
    },
]
GUARD: Obj = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "guard"},
    "spec": {
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["works", "own"]}]}
    },
}
MOUNTS = [{"name": name, "mountPath": f"/{name}"} for name in ("config", "secret", "memory", "kept")]
VOLUMES: list[Obj] = [
    {"name": "config", "configMap": {"name": "settings"}},
    {"name": "secret", "secret": {"secretName": "word"}},
    {"name": "memory", "emptyDir": {"medium": "Memory"}},
    {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}},
]
CLAIM: Obj = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "kept"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
}
WORK = "echo started >>/kept/file; exec sleep 1000"
ENV = [
    {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "word", "key": "it"}}},
    {"name": "OPTIONAL", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "it", "optional": True}}},
]


@pytest.fixture(scope="module")
def pair(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    with Cluster(hosts.up(2), image_archives) as cluster:
        cluster.server(1, f"--token={SECRET}", "--disable-agent")
        cluster.agent(2, f"--token={SECRET}", NODE_IP)
        cluster.wait_ready("h2")
        yield cluster


def containers(host: Host) -> dict[str, str]:
    """Every container of the host's engine by name: its id and its state."""
    said = host.docker("ps", "--all", "--format={{.Names}} {{.ID}} {{.State}}")
    return dict(line.split(" ", 1) for line in said.splitlines())


def told(host: Host) -> dict[str, Obj]:
    """The pods that the host would know of after a power cut."""
    found: dict[str, Obj] = {}
    for entry in Journal(host.data / "agent" / "state").read():
        if entry.verb == "put" and entry.shelf.startswith("pods?"):
            found[entry.key.partition("/")[2]] = entry.value
    return found


def settled(pods: dict[str, Obj]) -> bool:
    return {one["status"].get("phase") for one in pods.values()} == {"Running", "Succeeded"} and all(
        status["ready"] or "terminated" in status["state"]
        for one in pods.values()
        for status in one["status"]["containerStatuses"]
    )


def statuses(here: Space) -> dict[str, Any]:
    """What a restart of anything would change."""
    return {
        one["metadata"]["name"]: (
            one["status"]["startTime"],
            [(status["restartCount"], status["state"]) for status in one["status"]["containerStatuses"]],
        )
        for one in here.get("pods")["items"]
    }


def test_a_host_that_reboots_with_its_cable_pulled(pair: Cluster) -> None:
    host = pair.hosts[2]
    with space(pair, "alone") as here:
        begin(here)
        pair.wait_for("the pods to be written down", lambda: settled(told(host)))
        vip, before = here.get("service", "web")["spec"]["clusterIP"], statuses(here)
        host.reboot(plugged=False)
        lease(host, "10.99.0.72")
        pair.programs[2].kill()
        here.kubectl("delete", "pod", "gone-at-once", "--force", "--grace-period=0")
        here.kubectl("delete", "pod", "gone-in-order", "--wait=false")
        here.kubectl("patch", "configmap", "settings", "--patch", '{"data": {"mood": "happy"}}')
        pair.agent(2, f"--token={SECRET}", NODE_IP)
        pair.wait_for("the VIP to answer", lambda: "web" in pair.curl(f"http://{vip}/", on=2))
        pair.wait_for("none but its own pods to be asked", lambda: not far_is_asked(host))
        assert all("web" in pair.curl(f"http://{vip}/", on=2, timeout=5) for _ in range(10))
        assert host.run("dig", "+short", "@10.43.0.10", NAME).strip() == vip
        assert "NXDOMAIN" in host.run("dig", "@10.43.0.10", f"no{NAME}")
        pair.wait_for("all containers but the one that was done", lambda: runs(host) == 8)
        seen = inside(host, "works", "for f in /config/mood /secret/it; do cat $f; echo; done; echo $WORD")
        assert seen.split() == ["calm", "open", "open"]
        assert inside(host, "works", "df /memory | tail -n 1").startswith("tmpfs")
        pair.wait_for(
            "its second start", lambda: inside(host, "works", "cat /kept/file") == "started\nstarted\n"
        )
        assert vip in inside(host, "works", f"nslookup {NAME}")
        begin_own(host, here)
        guarded(pair, host)
        alone = containers(host)
        since = {name: started(host, name) for name in ("web", "works")}
        host.mend()
        pair.wait_for("its new address", lambda: address(pair) == "10.99.0.72")
        pair.wait_for(
            "what was deleted to be gone", lambda: not names(here) & {"gone-in-order", "gone-at-once"}
        )
        pair.wait_for(
            "no container of theirs", lambda: not [one for one in containers(host) if "gone" in one]
        )
        pair.wait_for("the new mood", lambda: inside(host, "works", "cat /config/mood") == "happy")
        for name in ("web", "works"):
            here.wait(name, "the reboot to be told", restarted)
        assert containers(host).items() <= alone.items()
        own = here.wait_phase("own-h2", "Running")["status"]["containerStatuses"]
        assert [(one["restartCount"], one["state"]["running"]["startedAt"]) for one in own] == [
            (0, started(host, "own-h2"))
        ]
        pair.wait_for("the start to be told of, before and after", lambda: starts(here, "works") == 2)
        pair.wait_for("the server's word to count again", lambda: far_is_asked(host))
        here.wait("works", "the new address to be told", lambda status: status["hostIP"] == "10.99.0.72")
        after = statuses(here)
        assert after["done"] == before["done"]
        for name in ("web", "works"):
            assert after[name][0] == before[name][0]
            assert [(count, state["running"]["startedAt"]) for count, state in after[name][1]] == [
                (1, since[name])
            ]


def lease(host: Host, new: str) -> None:
    """What a client of DHCP does when the old address has gone to somebody else."""
    host.run("ip", "addr", "flush", "dev", "eth0")
    host.run("ip", "addr", "add", f"{new}/24", "dev", "eth0")
    host.run("ip", "route", "add", "default", "via", GATEWAY)


def address(cluster: Cluster) -> str:
    addresses = cluster.get("node", "h2")["status"]["addresses"]
    return str(next(one["address"] for one in addresses if one["type"] == "InternalIP"))


def begin(here: Space) -> None:
    """Pods that need everything that a host keeps for them, one that is done, and two that will go."""
    here.apply(
        config_map("settings", mood="calm"),
        secret("word", it="open"),
        SERVICE,
        *FAR,
        CLAIM,
        GUARD,
        pod("web", WEB),
        pod("works", container(WORK, volumeMounts=MOUNTS, env=ENV), volumes=VOLUMES),
        pod("done", container("true"), restartPolicy="Never"),
        pod("gone-at-once", container("exec sleep 1000")),
        pod("gone-in-order", container("exec sleep 1000")),
    )
    here.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/works", "--timeout=120s")


def begin_own(host: Host, here: Space) -> None:
    """A pod of the host's own, which nobody is asked about."""
    manifest = pod("own", container("exec sleep 1000"))
    manifest["metadata"]["namespace"] = here.name
    folder = host.data / "agent" / "pod-manifests"
    folder.mkdir(exist_ok=True)
    (folder / "own.json").write_text(json.dumps(manifest))
    here.cluster.wait_for("the host's own pod", lambda: main(host, "own-h2"))


def guarded(cluster: Cluster, host: Host) -> None:
    """That the policy holds, for a pod of the host's own too, and for nobody else."""
    addresses = {name: inside(host, name, "hostname -i").strip() for name in ("web", "works", "own-h2")}
    isolated = host.run("nft", "list", "map", "ip", "mini8s_policy", "in")
    assert [name for name, address in addresses.items() if f"{address} :" in isolated] == ["works", "own-h2"]
    # where nobody listens: refused at once, or silence
    asked = f"timeout 1 nc {addresses['works']} 9 </dev/null; echo $?"
    cluster.wait_for("itself to be reached", lambda: inside(host, "works", asked).strip() == "1")
    assert inside(host, "web", asked).strip() != "1"


def far_is_asked(host: Host) -> bool:
    """Whether the host sends clients of the Service to the far one, too."""
    return "10.99.0.78" in host.run("nft", "list", "ruleset")


def names(here: Space) -> set[str]:
    return {one["metadata"]["name"] for one in here.get("pods")["items"]}


def restarted(status: Obj) -> bool:
    return [one["restartCount"] for one in status["containerStatuses"]] == [1]


def runs(host: Host) -> int:
    return len([one for one in containers(host).values() if one.endswith(" running")])


def main(host: Host, name: str) -> str:
    """The id of the pod's container that runs."""
    return host.docker("ps", "--quiet", f"--filter=name=_main_{name}_").strip()


def started(host: Host, name: str) -> str:
    """Since when it does, as a pod's status says it."""
    return host.docker("inspect", "--format={{.State.StartedAt}}", main(host, name))[:19] + "Z"


def starts(here: Space, name: str) -> int:
    """How many starts of a pod's container there are events of."""
    return sum(
        one["count"]
        for one in here.get("events")["items"]
        if one["involvedObject"]["name"] == name and one["reason"] == "Started"
    )


def inside(host: Host, name: str, script: str) -> str:
    """What a shell in the pod's running container prints."""
    return host.docker("exec", main(host, name), "sh", "-c", script)
