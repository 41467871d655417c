"""The node's own object, its heartbeat, the status writer, the tunnel's request, and the sandbox program."""

from __future__ import annotations

import platform
import signal
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.api import FakeApi, FakeEvents
from fakes.cluster import Cluster
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.node import host, node
from mini8s.agent.kubelet.node.heartbeat import Heartbeat
from mini8s.agent.kubelet.serving import logs, streams
from mini8s.agent.kubelet.settings import DEFAULTS, KubeletSettings
from mini8s.agent.kubelet.status_writer import StatusWriter, difference
from mini8s.agent.runtime.base import CreateFailed
from mini8s.agent.runtime.docker import sandbox_image
from mini8s.agent.runtime.records import EngineInfo, Image
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import conditions
from mini8s.objects.errors import BadRequest, ServiceUnavailable
from mini8s.objects.kinds import LEASES, NODES, PODS, Obj
from mini8s.util.clock import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = host.HostFacts(4, 8 << 30, 100 << 30, "amd64", "6.1", "Debian", "m", "b")
FACTS = node.NodeFacts("n1", "10.99.0.11", HOST, NOW, engine=EngineInfo("docker", "20.10", 1))


def judged(**more: Any) -> dict[str, tuple[str, str]]:
    status = node.status(replace(FACTS, **more), {})
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def test_a_healthy_node() -> None:
    made = node.node(replace(FACTS, labels={"zone": "a"}, images=[Image("x", ["b:1", "a:1"], 5)]))
    assert made["metadata"]["labels"]["kubernetes.io/hostname"] == "n1"
    assert made["metadata"]["labels"]["zone"] == "a"
    assert made["status"]["capacity"] == {
        "cpu": "4",
        "memory": "8388608Ki",
        "ephemeral-storage": "104857600Ki",
        "pods": "110",
    }
    assert made["status"]["allocatable"]["memory"] == "8286208Ki"
    assert made["status"]["images"] == [{"names": ["a:1", "b:1"], "sizeBytes": 5}]
    assert judged()["Ready"] == ("True", "KubeletReady")
    assert judged()["DiskPressure"] == ("False", "KubeletHasNoDiskPressure")


def test_trouble_is_said() -> None:
    assert judged(engine_trouble="no socket")["Ready"] == ("False", "KubeletNotReady")
    assert judged(network_trouble="no podCIDR")["NetworkUnavailable"][0] == "True"
    assert judged(shutting_down=True)["Ready"] == ("False", "KubeletNotReady")
    assert judged(pressures=frozenset({"MemoryPressure"}))["MemoryPressure"] == (
        "True", "KubeletHasInsufficientMemory"
    )  # fmt: skip
    ill = judged(pressures=frozenset({"DiskPressure", "PIDPressure"}))
    assert [ill[kind][0] for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")] == [
        "False", "True", "True"
    ]  # fmt: skip


def test_what_is_kept_from_pods() -> None:
    reserved = {
        "kube_reserved": {"cpu": "100m", "memory": "1Gi"},
        "system_reserved": {"cpu": "200m", "ephemeral-storage": "10Gi"},
    }
    settings = KubeletSettings(max_pods=7, most_images=1, **reserved)
    large = replace(HOST, huge_pages={"hugepages-2Mi": 1 << 30})
    images = [Image(name, [name], size) for name, size in (("a:1", 1), ("b:1", 2))]
    status = node.status(replace(FACTS, host=large, settings=settings, images=images), {})
    assert status["allocatable"] == {
        "cpu": "3700m",
        "memory": f"{(6 << 20) - (100 << 10)}Ki",
        "ephemeral-storage": str(80 << 30),
        "pods": "7",
        "hugepages-2Mi": "1Gi",
    }
    assert [one["names"] for one in status["images"]] == [["b:1"]]
    everything = node.status(replace(FACTS, settings=replace(settings, most_images=-1), images=images), {})
    assert len(everything["images"]) == 2


def test_time_alone_is_no_difference() -> None:
    old = node.status(FACTS, {})
    later = replace(FACTS, now=datetime(2026, 1, 2, tzinfo=UTC))
    assert not node.differs(old, node.status(later, old))
    assert node.differs(old, node.status(replace(later, engine_trouble="x"), old))


def test_what_the_server_keeps_of_a_status_is_no_news() -> None:
    """It writes quantities in their shortest form, and no empty lists: a node would be written every ten
    seconds for ever."""
    cluster = Cluster()
    cluster.create(NODES, node.node(FACTS), namespace="")
    change = {"status": node.status(FACTS, {})}
    kept = cluster.patch(NODES, "n1", change, subresource="status")["status"]
    assert kept["capacity"]["memory"] == "8Gi"
    assert "images" not in kept
    assert not node.differs(kept, node.status(FACTS, kept))
    assert node.differs(kept, node.status(replace(FACTS, host=replace(HOST, memory=4 << 30)), kept))


def test_this_host_can_be_read(tmp_path: Path) -> None:
    found = host.facts(tmp_path / "not" / "yet")
    assert found.cpus >= 1
    assert found.memory > 1 << 20
    assert found.boot_id
    assert host.facts(tmp_path) == found


@pytest.fixture
def beat(tmp_path: Path) -> tuple[Heartbeat, FakeApi, FakeClock]:
    clock = FakeClock()
    api = FakeApi(now=clock.now)
    made = Heartbeat(
        api=api,
        runtime=FakeRuntime(clock.now),
        name="n1",
        ips=lambda: ("10.99.0.11",),
        labels={"zone": "a"},
        taints=[],
        data_dir=tmp_path,
        clock=clock,
        engine_trouble=lambda: "",
        network_trouble=lambda: "",
        settings=DEFAULTS,
        events=FakeEvents(),
    )
    return made, api, clock


def test_registration_then_quiet(beat: tuple[Heartbeat, FakeApi, FakeClock]) -> None:
    heart, api, clock = beat
    assert heart.renew() < 1, "there is no node yet to renew a lease for"
    assert heart.step() == heart.renew() == 10
    assert conditions.is_true(api.get(NODES, "", "n1"), "Ready")
    assert api.get(LEASES, "kube-node-lease", "n1")["spec"]["holderIdentity"] == "n1"
    api.calls.clear()
    clock.step(10)
    heart.step()
    heart.renew()
    assert [call.kind for call in api.calls] == [LEASES], "only the lease is renewed"
    clock.step(300)
    heart.step()
    assert NODES in [call.kind for call in api.calls]


def test_an_existing_node_is_adopted_and_a_deleted_one_comes_back(
    beat: tuple[Heartbeat, FakeApi, FakeClock],
) -> None:
    heart, api, _ = beat
    api.create(
        NODES, {"metadata": {"name": "n1", "labels": {"own": "x"}}, "spec": {"podCIDR": "10.42.0.0/24"}}
    )
    heart.step()
    found = api.get(NODES, "", "n1")
    assert (found["metadata"]["labels"]["own"], found["metadata"]["labels"]["zone"]) == ("x", "a")
    assert found["spec"]["podCIDR"] == "10.42.0.0/24"
    api.delete(NODES, "", "n1")
    heart.step()
    assert api.get(NODES, "", "n1")


def test_what_a_controller_wrote_is_put_right(beat: tuple[Heartbeat, FakeApi, FakeClock]) -> None:
    heart, api, clock = beat
    heart.step()
    status = api.get(NODES, "", "n1")["status"]
    lost = [{**one, "status": "Unknown"} if one["type"] == "Ready" else one for one in status["conditions"]]
    api.patch_status(NODES, "", "n1", {"status": {"conditions": lost}})
    clock.step(10)
    heart.step()
    assert conditions.is_true(api.get(NODES, "", "n1"), "Ready")


def test_a_watch_saves_the_look_at_the_server_unless_it_is_behind(
    beat: tuple[Heartbeat, FakeApi, FakeClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    heart, api, clock = beat
    shown: list[Obj] = []
    heart._shown = lambda: shown[-1] if shown else None
    heart.step()
    shown.append(api.get(NODES, "", "n1"))
    monkeypatch.setattr(api, "get", lambda *_: pytest.fail("the server is asked"))
    clock.step(10)
    assert heart.step() == 10
    lost = [{**one, "status": "Unknown"} for one in shown[0]["status"]["conditions"]]
    shown.append(api.patch_status(NODES, "", "n1", {"status": {"conditions": lost}}))
    heart.step()
    monkeypatch.undo()
    assert conditions.is_true(api.get(NODES, "", "n1"), "Ready")
    api.calls.clear()
    heart.step()
    assert not api.calls, "what is shown is from before its own write"
    shown.clear()
    api.delete(NODES, "", "n1")
    heart.step()
    assert api.get(NODES, "", "n1"), "what no watch shows may be gone"


def test_an_engine_that_hangs_does_not_hold_up_the_lease(
    beat: tuple[Heartbeat, FakeApi, FakeClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    heart, api, clock = beat
    heart.step()
    heart.renew()
    answer, asked = threading.Event(), threading.Event()

    def images(_runtime: FakeRuntime) -> list[Image]:
        asked.set()
        answer.wait(60)
        return []

    monkeypatch.setattr(FakeRuntime, "images", images)
    hanging = threading.Thread(target=heart.step)
    hanging.start()
    assert asked.wait(60)
    clock.step(10)
    api.calls.clear()
    assert heart.renew() == 10
    assert [call.kind for call in api.calls] == [LEASES]
    answer.set()
    hanging.join()


def test_a_server_that_is_away(beat: tuple[Heartbeat, FakeApi, FakeClock]) -> None:
    heart, api, _ = beat
    api.down = True
    assert 0 < heart.step() <= 2
    assert 0 < heart.renew() <= 2
    assert not heart.registered


def test_conditions_that_change_are_told_in_events() -> None:
    old, new = (
        node.status(replace(FACTS, pressures=frozenset(found)), {}) for found in ((), ("MemoryPressure",))
    )
    assert node.changes(old, new) == ["NodeHasInsufficientMemory"]
    assert node.changes(new, new) == []
    assert node.changes({}, old) == [
        "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady"
    ]  # fmt: skip


def test_news_do_not_wait_for_the_next_beat(beat: tuple[Heartbeat, FakeApi, FakeClock]) -> None:
    heart, _, _ = beat
    beating = threading.Thread(target=heart.beat, daemon=True)
    beating.start()
    heart.wake()
    beating.join(60)
    assert not beating.is_alive()


def stored(api: FakeApi, name: str = "p") -> Obj:
    return api.create(PODS, {"metadata": {"namespace": "d", "name": name}, "spec": {"containers": []}})


def test_a_status_is_written_once_and_again_after_a_failure() -> None:
    api, queue = FakeApi(), WorkQueue()
    writer, pod = StatusWriter(api, queue), stored(api)
    uid = pod["metadata"]["uid"]
    writer.put(pod, {"phase": "Running"}, gone=False)
    api.down = True
    with pytest.raises(ServiceUnavailable):
        writer.write(uid)
    api.down = False
    api.calls.clear()
    writer.write(uid)
    writer.write(uid)
    writer.put(pod, {"phase": "Running"}, gone=False)
    writer.write(uid)
    assert [call.body["status"] for call in api.calls] == [{"phase": "Running"}]


def test_what_others_write_into_a_status_is_noticed_and_put_right() -> None:
    api = FakeApi()
    writer, pod = StatusWriter(api, WorkQueue()), stored(api)
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    for status in ({"phase": "Pending"}, ready):
        writer.put(pod, status, gone=False)
        writer.write(pod["metadata"]["uid"])
    assert not writer.overwritten(api.get(PODS, "d", "p")), "our own word comes back"
    assert not writer.overwritten({**pod, "status": {"phase": "Pending"}}), "an older one of ours comes late"
    lost = {"conditions": [{"type": "Ready", "status": "False"}]}
    pod = api.patch_status(PODS, "d", "p", {"status": lost})
    assert writer.overwritten(pod)
    writer.put(pod, ready, gone=False)
    writer.write(pod["metadata"]["uid"])
    assert api.get(PODS, "d", "p")["status"] == ready


def test_another_pod_of_the_same_name_is_left_alone() -> None:
    api, queue = FakeApi(), WorkQueue()
    writer, pod = StatusWriter(api, queue), stored(api)
    api.delete(PODS, "d", "p")
    stored(api)
    writer.put(pod, pod.get("status") or {}, gone=True)
    writer.write(pod["metadata"]["uid"])
    assert api.get(PODS, "d", "p")["metadata"]["uid"] != pod["metadata"]["uid"]


def test_the_difference_of_statuses() -> None:
    assert difference({"a": 1, "b": 2, "c": [1]}, {"a": 1, "b": 3, "d": 4, "c": [1]}) == {"b": 3, "d": 4}
    assert difference({"a": 1}, {}) == {"a": None}


def test_requests_over_the_tunnel() -> None:
    asked = streams.parse(b"GET /containerLogs/ns/p%2Fx/c?follow=true&tailLines=3 HTTP/1.1\r\nHost: x")
    assert (asked.method, asked.path) == ("GET", ("containerLogs", "ns", "p/x", "c"))
    options = logs.LogOptions.parse({**asked.query, "sinceSeconds": "60", "limitBytes": "9"}, NOW)
    assert options == logs.LogOptions(follow=True, tail=3, since=NOW.timestamp() - 60, limit_bytes=9)
    with pytest.raises(BadRequest):
        streams.parse(b"hello")
    with pytest.raises(BadRequest):
        logs.LogOptions.parse({"tailLines": "many"}, NOW)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "armv7l", "armv6l"])
def test_the_sandbox_program_is_a_small_elf_file(machine: str) -> None:
    program = sandbox_image.elf(machine)
    assert program.startswith(b"\x7fELF")
    assert len(program) < 400
    assert program.endswith(b"\xff" * 8)


def test_a_cpu_that_is_not_known_is_refused() -> None:
    with pytest.raises(CreateFailed, match="no sandbox program for CPU 'riscv64'"):
        sandbox_image.elf("riscv64")


def test_the_sandbox_program_waits_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "pause"
    path.write_bytes(sandbox_image.elf(platform.machine()))
    path.chmod(0o755)
    with subprocess.Popen([str(path)]) as program:
        while Path(f"/proc/{program.pid}/stat").read_text().split()[2] != "S":
            assert program.poll() is None
        program.send_signal(signal.SIGCHLD)
        program.send_signal(signal.SIGUSR1)
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 0


def test_a_server_that_is_away_is_asked_for_one_pod_at_a_time() -> None:
    api, queue = FakeApi(), WorkQueue()
    writer = StatusWriter(api, queue)
    for name in ("a", "b", "c"):
        writer.put(stored(api, name), {"phase": "Running"}, gone=False)
    api.down = True
    assert [writer.step() for _ in range(6)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    api.down = False
    assert [writer.step() for _ in range(3)] == [0, 0, 0]
    assert {one["status"]["phase"] for one in api.list(PODS).items} == {"Running"}
    assert len(queue) == 0
