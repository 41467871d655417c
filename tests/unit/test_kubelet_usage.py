"""What pods use, from cgroup files of both versions to the kubelet's summary and Prometheus' text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mini8s.agent.kubelet.usage import cgroup, layers
from mini8s.agent.kubelet.usage.disk_usage import DiskUsage, Space, Taken, count
from mini8s.agent.kubelet.usage.exposition import exposition
from mini8s.agent.kubelet.usage.host_usage import default_interface, interfaces
from mini8s.agent.kubelet.usage.storage import (
    ContainerStorage,
    Filesystems,
    PodStorage,
    Storage,
    VolumeStorage,
)
from mini8s.agent.kubelet.usage.summary import StorageFacts, summary
from mini8s.agent.kubelet.usage.usage import Usage
from mini8s.agent.runtime.records import Container, RunningPod, Sandbox
from mini8s.objects.kinds import Obj
from mini8s.util.clock import FakeClock

ID, BOX = "c" * 64, "b" * 64
NOW = "2026-01-01T00:00:00.5Z"
V1_STAT = """cache 9
total_inactive_file 1000
total_rss 3000
total_pgfault 7
total_pgmajfault 1
total_swap 5
hierarchical_memory_limit {}
"""
V2_STAT = "anon 3000\ninactive_file 1000\npgfault 7\npgmajfault 1\n"
NET_DEV = """Inter-|   Receive                            |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier
    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0
  eth0: 100 2 3 0 0 0 0 0 200 4 5 0 0 0 0 0
"""
ROUTE = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth1 0000FEA9 00000000 0001 0 0 0 0000FFFF 0 0 0
eth0 00000000 0100FEA9 0003 0 0 0 00000000 0 0 0
"""
STAT = "cpu  100 0 50 900 0 5 5 0 0 0\nbtime 1700000000\n"
MEMINFO = """MemTotal: 4000 kB
MemFree: 1000 kB
Inactive(file): 500 kB
AnonPages: 700 kB
SwapTotal: 0 kB
SwapFree: 0 kB
"""
POD = {
    "metadata": {"namespace": "d", "name": "p", "uid": "u"},
    "spec": {"containers": [{"name": "c"}]},
    "status": {"startTime": "2026-01-01T00:00:00Z"},
}


def test_a_container_is_found_in_both_versions_whatever_groups_it_made() -> None:
    old = cgroup.files(f"4:memory:/docker/{ID}/inner\n2:cpu,cpuacct:/docker/{ID}\n1:pids:/docker/{ID}\n", ID)
    assert old == {
        "cpuacct.usage": f"cpuacct/docker/{ID}/cpuacct.usage",
        "memory.usage": f"memory/docker/{ID}/memory.usage_in_bytes",
        "memory.stat": f"memory/docker/{ID}/memory.stat",
        "pids": f"pids/docker/{ID}/pids.current",
    }
    new = cgroup.files(f"0::/system.slice/docker-{ID}.scope/init.scope\n", ID)
    assert new is not None
    assert new["cpu.stat"] == f"system.slice/docker-{ID}.scope/cpu.stat"
    assert cgroup.files("0::/user.slice\n", ID) is None  # the process is another's


@pytest.mark.parametrize(("stated", "limit"), [("9223372036854771712", 0), ("8000", 8000)])
def test_figures_of_version_1(stated: str, limit: int) -> None:
    texts = {"cpuacct.usage": "5000\n", "memory.usage": "4000\n", "memory.stat": V1_STAT.format(stated)}
    assert cgroup.reading(texts) == cgroup.Reading(5000, 4000, 3000, 3000, 7, 1, swap=5, limit=limit)


@pytest.mark.parametrize(("stated", "limit"), [("max\n", 0), ("8000\n", 8000), ("", 0)])
def test_figures_of_version_2(stated: str, limit: int) -> None:
    texts = {"cpu.stat": "usage_usec 5\n", "memory.usage": "4000", "memory.stat": V2_STAT, "pids": "2"}
    found = cgroup.reading(texts | {"memory.max": stated})
    assert found == cgroup.Reading(5000, 4000, 3000, 3000, 7, 1, limit=limit, processes=2)


def test_a_pod_has_a_limit_when_each_of_its_containers_has() -> None:
    one, other = (cgroup.Reading(1, 2, 3, 4, 5, 6, limit=limit) for limit in (100, 0))
    assert cgroup.together([one, one]).limit == 200
    assert cgroup.together([one, other]).limit == 0
    assert cgroup.together([one, other]).working_set == 6


def test_interfaces_and_the_way_out() -> None:
    (eth0,) = interfaces(NET_DEV)
    assert (eth0.name, eth0.rx_bytes, eth0.rx_errors, eth0.tx_bytes, eth0.tx_errors) == (
        "eth0",
        100,
        3,
        200,
        5,
    )
    assert default_interface(ROUTE) == "eth0"
    assert default_interface(ROUTE.splitlines()[0]) == ""


class Host:
    """A host of files, with one pod. Every pause brings `work` nanoseconds of processor time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FakeClock()
        self.work, self.cpu_ns, self.pauses = 250_000_000, 1_000_000_000, 0
        self.container = Container(ID, "c", 0, "i", "i", "running", NOW, NOW, sandbox_id=BOX, pid=7)
        self.put("proc/stat", STAT)
        self.put("proc/meminfo", MEMINFO)
        self.put("proc/vmstat", "pgfault 70\npgmajfault 10\n")
        self.put("proc/self/net/dev", NET_DEV)
        self.put("proc/self/net/route", ROUTE)
        self.put("proc/6/net/dev", NET_DEV)
        self.put("proc/7/cgroup", f"0::/docker/{ID}\n")
        self.write()
        self.usage = Usage(self.pods, self.clock, self.pause, cgroups=folder / "cgroup", proc=folder / "proc")

    def put(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write(self) -> None:
        place = f"cgroup/docker/{ID}"
        for name, text in {
            "cpu.stat": f"usage_usec {self.cpu_ns // 1000}\n",
            "memory.current": "4000\n",
            "memory.stat": V2_STAT,
            "memory.max": "8000\n",
        }.items():
            self.put(f"{place}/{name}", text)

    def pods(self) -> Iterator[RunningPod]:
        box = Sandbox(BOX, 6, 0, True, NOW)
        yield RunningPod("d", "p", "u", (box,), (self.container,))

    def later(self, seconds: float, work: int) -> None:
        self.clock.step(seconds)
        self.cpu_ns += work
        self.write()

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        self.later(seconds, self.work)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def rate(host: Host) -> tuple[int, float]:
    (pod,) = host.usage.now().pods
    assert pod.rate is not None
    return pod.rate.nanocores, pod.rate.seconds


def test_a_rate_is_since_the_last_look_when_that_was_lately(host: Host) -> None:
    assert rate(host) == (500_000_000, 0.5)  # there was none: a short second look
    host.later(15, 1_500_000_000)
    assert rate(host) == (100_000_000, 15)
    host.later(61, 0)
    assert rate(host) == (500_000_000, 0.5)  # the last one was too long ago
    assert host.pauses == 2
    host.later(0.1, 0)
    assert rate(host) == (500_000_000, 0.5)  # who asks at the same time gets the same answer


def test_a_new_container_gets_a_second_look(host: Host) -> None:
    host.usage.now()
    new = "d" * 64
    host.container = Container(new, "c", 1, "i", "i", "running", NOW, NOW, sandbox_id=BOX, pid=8)
    host.put("proc/8/cgroup", f"0::/docker/{ID}/{new}\n")
    for name in ("cpu.stat", "memory.current", "memory.stat"):
        host.put(f"cgroup/docker/{ID}/{new}/{name}", (host.folder / f"cgroup/docker/{ID}/{name}").read_text())
    host.later(15, 0)
    assert rate(host)[1] == 0.5
    assert host.pauses == 2


def test_what_has_ended_is_left_out_and_what_cannot_be_read_is_said(host: Host) -> None:
    (host.folder / "proc/7/cgroup").unlink()
    (pod,) = host.usage.now().pods
    assert (pod.containers, pod.rate) == ((), None)
    host.put("proc/7/cgroup", f"0::/docker/{ID}\n")
    host.later(1, 0)
    host.put(f"cgroup/docker/{ID}/memory.current", "nonsense")
    found = host.usage.now()
    assert found.pods == ()
    assert "d/p: ValueError" in found.trouble
    assert "\nresource_scrape_error 1\n" in exposition(found, lambda _uid: POD)


def test_the_summary(host: Host) -> None:
    space = Space(1000, 400, 500, 90, 30)
    volumes = (
        VolumeStorage("v", space, Taken(64, 2)),
        VolumeStorage("m", space, Taken(512, 5), own=True),
        VolumeStorage("x", space, Taken(4096, 9), claim="claim"),
    )
    pod = PodStorage({ID: ContainerStorage(Taken(32, 4), Taken(16, 1))}, volumes)
    said = summary(
        "n1", host.usage.now(), lambda _uid: POD, StorageFacts(Filesystems(space, space), {"u": pod})
    )
    node = said["node"]
    assert (node["nodeName"], node["startTime"]) == ("n1", "2023-11-14T22:13:20Z")
    assert node["cpu"]["usageCoreNanoSeconds"] == 1_600_000_000
    assert node["memory"]["usageBytes"] == 3000 << 10
    assert node["memory"]["workingSetBytes"] == 2500 << 10
    assert node["memory"]["availableBytes"] == 1500 << 10
    assert (node["network"]["name"], node["network"]["rxBytes"]) == ("eth0", 100)
    assert (node["fs"]["usedBytes"], node["fs"]["inodesUsed"]) == (500, 60)
    (told,) = said["pods"]
    assert told["podRef"] == {"name": "p", "namespace": "d", "uid": "u"}
    assert told["network"]["txBytes"] == 200
    assert told["cpu"] == {
        "time": "2026-01-01T00:00:00Z",
        "usageCoreNanoSeconds": 1_250_000_000,
        "usageNanoCores": 500_000_000,
        "windowSeconds": 0.5,
    }
    (container,) = told["containers"]
    assert container["startTime"] == "2026-01-01T00:00:00Z"
    assert container["memory"]["availableBytes"] == 5000
    assert (container["rootfs"]["usedBytes"], container["logs"]["usedBytes"]) == (32, 16)
    assert [(one["name"], one["usedBytes"]) for one in told["volume"]] == [("v", 64), ("m", 512), ("x", 4096)]
    assert told["volume"][2]["pvcRef"] == {"name": "claim", "namespace": "d"}
    assert told["ephemeral-storage"]["usedBytes"] == 32 + 16 + 64


def test_the_volume_of_a_claim_is_told_by_its_file_system(tmp_path: Path) -> None:
    """A claim's folder is not counted, and one that is not of this host not told of."""
    (tmp_path / "data").mkdir()
    asked: list[tuple[str, str]] = []

    def claimed(namespace: str, name: str) -> Path | None:
        asked.append((namespace, name))
        return tmp_path / "data" if name != "far" else None

    volumes: list[Obj] = [
        {"name": "v", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "own", "ephemeral": {}},
        {"name": "f", "persistentVolumeClaim": {"claimName": "far"}},
    ]
    pod: Obj = {**POD, "spec": {"volumes": volumes}}
    storage = Storage(tmp_path, "", DiskUsage(FakeClock()), claimed)
    found = storage.pod(pod, RunningPod("d", "p", "u"))
    assert [(one.name, one.claim, one.taken.bytes == one.space.used) for one in found.volumes] == [
        ("v", "data", True),
        ("own", "p-own", True),
    ]
    assert asked == [("d", "data"), ("d", "p-own"), ("d", "far")]
    assert found.ephemeral == Taken(0, 0)


def test_a_short_summary_and_a_pod_on_the_hosts_network(host: Host) -> None:
    pod: Obj = {**POD, "spec": {"hostNetwork": True}}
    said = summary("n1", host.usage.now(), lambda _uid: pod, None)
    assert "fs" not in said["node"]
    assert "network" not in said["pods"][0]
    assert summary("n1", host.usage.now(), lambda _uid: None, None)["pods"] == []


def test_the_text_for_prometheus(host: Host) -> None:
    lines = exposition(host.usage.now(), lambda _uid: POD).splitlines()
    at = 1767225600500
    assert [line for line in lines if line.startswith(("node_cpu", "container_cpu", "pod_memory"))] == [
        f"node_cpu_usage_seconds_total 1.6 {at}",
        f'container_cpu_usage_seconds_total{{container="c",namespace="d",pod="p"}} 1.25 {at}',
        f'pod_memory_working_set_bytes{{namespace="d",pod="p"}} 3000 {at}',
    ]
    assert 'container_start_time_seconds{container="c",namespace="d",pod="p"} 1767225600.5' in lines
    assert "scrape_error 0" in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) == 12


def test_a_folder_is_counted_once_in_a_while(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "again").hardlink_to(tmp_path / "below" / "file")
    (tmp_path / "away").symlink_to("/")
    before = count(tmp_path)
    assert 100_000 <= before.bytes < 200_000
    assert before.inodes == 4
    assert count(tmp_path / "nothing") == Taken(0, 0)
    clock = FakeClock()
    counts = DiskUsage(clock)
    assert counts.of(tmp_path) == before
    (tmp_path / "more").write_bytes(b"x")
    clock.step(59)
    assert counts.of(tmp_path) == before
    clock.step(2)
    assert counts.of(tmp_path).inodes == 5


def test_where_a_container_writes() -> None:
    root = "1 2 0:5 / {} rw - overlay overlay rw,lowerdir=/l:/m,upperdir={},workdir=/w\n"
    assert layers.upper_layer(root.format("/etc", "/no") + root.format("/", "/up")) == "/up"
    assert layers.upper_layer(root.format("/", "relative/diff")) == ""
    assert layers.upper_layer("1 2 0:5 / / rw - ext4 /dev/vda rw\n") == ""
