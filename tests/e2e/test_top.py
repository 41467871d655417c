"""`kubectl top` with each kubectl that is here: what the kernel counted of nodes, pods and containers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import kubectls
import pytest
from hosts.cluster import Cluster
from kubectls import Kubectl
from space import Space, container, pod, space

BUSY = "while :; do :; done"
HOLDS = "head -c 30000000 /dev/zero >/held/it; >/held/all; sleep 1000"  # pages of a tmpfs are the container's
HELD = {"exec": {"command": ["test", "-e", "/held/all"]}, "periodSeconds": 1, "failureThreshold": 30}


@pytest.fixture(scope="module")
def here(one_host: Cluster) -> Iterator[Space]:
    half = {"limits": {"cpu": "500m"}}
    mounts = [{"name": "held", "mountPath": "/held"}]
    held = container(HOLDS, name="held", volumeMounts=mounts, startupProbe=HELD)
    with space(one_host, "top") as made:
        made.apply(
            pod("busy", container(BUSY, resources=half)),
            pod(
                "idle",
                container("sleep 1000"),
                held,
                volumes=[{"name": "held", "emptyDir": {"medium": "Memory"}}],
            ),
        )
        made.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        one_host.wait_for("figures of both", lambda: len(top(made, kubectls.installed()[-1], "pods")) == 2)
        yield made


@pytest.fixture(params=kubectls.installed(), ids=str)
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    found: Kubectl = request.param
    return found


def top(here: Space, kubectl: Kubectl, *arguments: str) -> list[list[str]]:
    """The rows without their heading."""
    _, *options = here.cluster.kubectl_command("--namespace", here.name, "top", *arguments, "--no-headers")
    command = here.cluster.hosts[1].command(kubectl.program, *options)
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return [line.split() for line in said.stdout.splitlines()]


def number(text: str, unit: str) -> int:
    assert text.endswith(unit)
    return int(text.removesuffix(unit))


def test_pods_by_what_they_use(here: Space, kubectl: Kubectl) -> None:
    def told_apart() -> bool:
        """As soon as what the idle one needed to start counts no more."""
        busy, idle = top(here, kubectl, "pods", "--sort-by=cpu")
        return (busy[0], idle[0]) == ("busy", "idle") and number(idle[1], "m") * 2 < number(busy[1], "m")

    here.cluster.wait_for("the busy one to be told from the idle one", told_apart)
    busy, _ = top(here, kubectl, "pods", "--sort-by=cpu")
    assert 50 < number(busy[1], "m") < 700
    heavy, light = top(here, kubectl, "pods", "-A", "--sort-by=memory")
    assert heavy[:2] == ["top", "idle"]
    assert number(heavy[3], "Mi") >= 28 > number(light[3], "Mi")


def test_each_container(here: Space, kubectl: Kubectl) -> None:
    found = {(row[0], row[1]): row[3] for row in top(here, kubectl, "pods", "--containers", "-l", "app=idle")}
    assert found.keys() == {("idle", "main"), ("idle", "held")}
    assert number(found["idle", "held"], "Mi") >= 28 > number(found["idle", "main"], "Mi")


def test_nodes(here: Space, kubectl: Kubectl) -> None:
    (row,) = top(here, kubectl, "nodes")
    assert row[0] == "h1"
    assert number(row[1], "m") > 50  # the busy one is in it
    assert number(row[3], "Mi") > 30
    assert top(here, kubectl, "node", "h1")[0][0] == "h1"
