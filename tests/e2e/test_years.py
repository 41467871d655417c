"""A cluster that goes on for years: the package of an earlier commit is upgraded while requests run, and the
server's host is lost and its snapshot restored on another."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import MANIFEST
from hosts import Hosts
from hosts.cluster import MINI8S, Cluster
from traffic import traffic

ROOT = Path(__file__).parents[2]
EARLIER = "11c4287"  # before anything of this was there; a clone without history upgrades to itself

DEPLOYED = "{apiVersion: v1, kind: ConfigMap, metadata: {name: deployed}}"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment that runs the earlier package."""
    folder = tmp_path_factory.mktemp("earlier")
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", EARLIER, "mini8s"], capture_output=True, check=False
    )
    if packed.returncode:
        return {}
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def shop(hosts: Hosts, image_archives: list[Path], earlier: dict[str, str]) -> Iterator[Cluster]:
    """A server on h1 and agents on h1 and h2, all of the earlier package, with hello on them."""
    with Cluster(hosts.up(3), image_archives) as cluster:
        cluster.environment = earlier
        cluster.server(1)
        cluster.wait_ready("h1")
        cluster.agent(2)
        cluster.wait_ready("h1", "h2")
        cluster.kubectl("apply", f"--filename={MANIFEST}")
        cluster.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
        cluster.environment = {}
        yield cluster


def address(cluster: Cluster) -> str:
    return str(cluster.get("service", "hello")["spec"]["clusterIP"])


def pods(cluster: Cluster) -> dict[str, Any]:
    """What must not change: where each pod runs, its containers, and how often they were started."""
    return {
        pod["metadata"]["name"]: (
            pod["spec"]["nodeName"],
            [(one["containerID"], one["restartCount"]) for one in pod["status"]["containerStatuses"]],
        )
        for pod in cluster.get("pods")["items"]
    }


def revision(cluster: Cluster) -> int:
    return int(json.loads(cluster.api("/api/v1/pods"))["metadata"]["resourceVersion"])


def deployed(cluster: Cluster, number: int) -> Path:
    return cluster.hosts[number].data / "server" / "manifests" / "deployed.yaml"


def config_maps(cluster: Cluster) -> set[str]:
    listed = json.loads(cluster.api("/api/v1/namespaces/default/configmaps"))["items"]
    return {one["metadata"]["name"] for one in listed}


def restart(cluster: Cluster, number: int) -> None:
    """Stop an agent and start it again, until it has taken over what runs."""
    cluster.programs[number].stop()
    log = cluster.programs[number].log
    said = len(log.read_text())
    cluster.agent(number)
    cluster.wait_for("the agent's first round", lambda: "agent is ready after" in log.read_text()[said:])


def test_upgraded_host_by_host_while_requests_run(shop: Cluster) -> None:
    """In place: the pods of a host whose agent starts anew run on. In between the earlier agent works with
    the newer server."""
    before = pods(shop)
    with traffic(shop.hosts[2], f"http://{address(shop)}/") as seen:
        shop.programs[1].stop()
        shop.server(1)
        shop.wait_ready("h1", "h2")
        shop.kubectl("cordon", "h1")
        shop.kubectl("scale", "deployment/hello", "--replicas=4")
        shop.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
        restart(shop, 2)
        shop.wait_ready("h1", "h2")
    assert seen.failures == []
    assert sum(seen.answers.values()) > 100
    after = pods(shop)
    assert {name: after[name] for name in before} == before
    assert {count for _, containers in after.values() for _, count in containers} == {0}


def test_the_servers_host_is_lost_and_restored_elsewhere(shop: Cluster) -> None:
    """The agent gets the new address, its pods run on, and it does what the restored server says. What the
    folder of manifests has put there is known to the restored server, too."""
    deployed(shop, 1).parent.mkdir(exist_ok=True)
    deployed(shop, 1).write_text(DEPLOYED)
    shop.wait_for("what was laid into the folder", lambda: "deployed" in config_maps(shop))
    took = re.search(r"took (\S+)", shop.hosts[1].run(MINI8S, "snapshot", "save"))
    assert took is not None
    snapshot = shop.hosts[3].folder / "snapshot.tar.gz"
    snapshot.write_bytes(Path(took[1]).read_bytes())
    before, lost = pods(shop), revision(shop)
    with traffic(shop.hosts[2], f"http://{address(shop)}/") as seen:
        shop.programs[1].kill()
        shop.hosts[3].run(MINI8S, "snapshot", "restore", str(snapshot))
        shop.server(3, "--disable-agent")
        shop.wait_for("the API", lambda: shop.api("/readyz") == "ok")
        restart(shop, 2)
        shop.kubectl("scale", "deployment/hello", "--replicas=5")
        shop.kubectl("rollout", "status", "deployment/hello", "--timeout=120s", timeout=40)
    assert seen.failures == []
    assert revision(shop) > lost + 1_000_000_000
    deployed(shop, 3).unlink()
    shop.wait_for("it to leave with its file", lambda: "deployed" not in config_maps(shop))
    after = pods(shop)
    assert {name: after[name] for name in before} == before
    assert {node for node, _ in after.values()} == {"h1", "h2"}
