"""A host that runs short of disk: pods that keep too much go, unused images go, and the node says so. Then
the host goes down."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.logind import FakeLogind
from hosts import Hosts
from hosts.cluster import Cluster
from space import Space, container, pod, space

from mini8s.objects.kinds import Obj

# the data folder is a small filesystem of its own: nobody else's files count
SIZE_MB = 128
UNUSED = "nobody/uses-it:1"
FLAGS = (
    "eviction-hard=nodefs.available<40%",
    "eviction-pressure-transition-period=3s",
    "minimum-image-ttl-duration=0s",
    "kube-reserved=memory=1Gi",
    "shutdown-grace-period=5s",
)
FILL = "head -c {}000000 /dev/zero >/v/it; exec sleep 1000"
MOUNTED = [{"name": "v", "mountPath": "/v"}]


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeLogind]:
    made = FakeLogind(tmp_path_factory.mktemp("login"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)
        yield made
    made.close()


@pytest.fixture(scope="module")
def here(hosts: Hosts, image_archives: list[Path], login: FakeLogind) -> Iterator[Space]:
    (host,) = hosts.up(1)
    host.data.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "small", str(host.data)], check=True)
    try:
        with Cluster([host], image_archives) as cluster:
            cluster.server(1, *(f"--kubelet-arg={flag}" for flag in FLAGS))
            cluster.wait_ready("h1")
            with space(cluster, "short") as made:
                _fill(made)
                yield made
                cluster.kubectl("delete", "pods", "--all", "--namespace=short", "--now")
    finally:
        subprocess.run(["umount", "--lazy", str(host.data)], check=True)


def _fill(here: Space) -> None:
    host = here.cluster.hosts[1]
    layer = host.folder / "layer.tar"
    subprocess.run(["tar", "-cf", str(layer), "-C", "/etc", "hostname"], check=True)
    host.docker("import", str(layer), UNUSED)
    here.apply(
        filler("fat", 3, sizeLimit="1Mi"),
        filler("slim", 3, sizeLimit="10Mi"),
        filler("small", 1),
        filler("large", 80),
    )


def filler(name: str, megabytes: int, **volume: str) -> Obj:
    volumes = [{"name": "v", "emptyDir": volume}]
    return pod(name, container(FILL.format(megabytes), volumeMounts=MOUNTED), volumes=volumes)


def condition(here: Space, about: str) -> Obj:
    found = here.cluster.get("node", "h1")["status"]["conditions"]
    return next(one for one in found if one["type"] == about)


def taints(here: Space) -> set[str]:
    return {one["key"] for one in here.cluster.get("node", "h1")["spec"].get("taints") or ()}


def test_a_volume_that_outgrows_its_size(here: Space) -> None:
    status = here.wait_phase("fat", "Failed")["status"]
    assert status["reason"] == "Evicted"
    assert status["message"] == 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '
    assert {one["type"]: one["status"] for one in status["conditions"]}["DisruptionTarget"] == "True"
    assert here.pod("slim")["status"]["phase"] == "Running"
    fat = "--field-selector=involvedObject.name=fat,reason=Evicted"
    here.cluster.wait_for("its event", lambda: "exceeds the limit" in here.kubectl("get", "events", fat))


def test_a_disk_that_fills_up(here: Space) -> None:
    host = here.cluster.hosts[1]
    status = here.wait_phase("large", "Failed")["status"]
    assert status["reason"] == "Evicted"
    assert status["message"].startswith(
        "The node was low on resource: ephemeral-storage. Threshold quantity: "
    )
    assert here.pod("small")["status"]["phase"] == "Running"
    assert UNUSED not in host.docker("images", "--format={{.Repository}}:{{.Tag}}")
    assert "mini8s-busybox:1" in host.docker("images", "--format={{.Repository}}:{{.Tag}}")
    words = ("get", "events", "--namespace=default", "--field-selector=involvedObject.kind=Node")
    for reason in ("EvictionThresholdMet", "NodeHasDiskPressure"):
        here.cluster.wait_for(reason, lambda reason=reason: reason in here.kubectl(*words))  # type: ignore[misc]


def test_the_condition_goes_with_its_cause(here: Space) -> None:
    """The evicted pod's files are gone, the pod itself is still there to be looked at."""
    here.cluster.wait_for("the pressure to end", lambda: condition(here, "DiskPressure")["status"] == "False")
    here.cluster.wait_for("the taint to go", lambda: not taints(here))
    assert here.pod("large")["status"]["reason"] == "Evicted"
    here.apply(pod("later", container("exec sleep 1000")))
    here.wait_phase("later", "Running")


def test_what_is_reserved_is_not_for_pods(here: Space) -> None:
    status = here.cluster.get("node", "h1")["status"]
    capacity, left = (int(status[of]["memory"].removesuffix("Ki")) for of in ("capacity", "allocatable"))
    assert capacity - left == 1 << 20
    assert status["nodeInfo"]["bootID"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_a_shutdown_waits_for_pods(here: Space, login: FakeLogind) -> None:
    assert login.wait(1) == [("shutdown", "mini8s", "Pods end before the host does", "delay")]
    here.apply(pod("last", container("exec sleep 1000")))
    here.wait_phase("last", "Running")
    login.announce(begins=True)
    status = here.wait_phase("last", "Failed")["status"]
    assert status["reason"] == "Terminated"
    assert status["message"] == "Pod was terminated in response to imminent node shutdown."
    assert login.wait(0) == []
    ready = here.cluster.wait_for("the node to say so", lambda: _not_ready(here))
    assert (ready["reason"], ready["message"]) == ("KubeletNotReady", "node is shutting down")
    login.announce(begins=False)
    here.cluster.wait_ready("h1")
    assert len(login.wait(1)) == 1


def _not_ready(here: Space) -> Obj:
    found = condition(here, "Ready")
    return found if found["status"] == "False" else {}
