"""The evictor over a pod worker and an engine in memory: what the host runs short of becomes ended pods,
conditions and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes.node_agent import IMAGE, NodeAgent, container, pod

from mini8s.agent.kubelet.images.collector import ImageCollector
from mini8s.agent.kubelet.node.evictor import Evictor, Surroundings
from mini8s.agent.kubelet.pod_folder import PodFolder
from mini8s.agent.kubelet.settings import KubeletSettings, parse
from mini8s.agent.kubelet.usage.cgroup import Reading
from mini8s.agent.kubelet.usage.disk_usage import Space, Taken
from mini8s.agent.kubelet.usage.host_usage import HostReading
from mini8s.agent.kubelet.usage.storage import Filesystems, PodStorage, VolumeStorage
from mini8s.agent.kubelet.usage.usage import ContainerUsage, PodUsage, Snapshot
from mini8s.agent.kubelet.view import Doom
from mini8s.agent.runtime.records import RunningPod
from mini8s.objects import conditions
from mini8s.objects.kinds import Obj

HOST = HostReading(0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0)
EVICT_AT_1000 = ("eviction-hard=memory.available<1000Ki,imagefs.available<15%",)


@dataclass
class Host:
    """A host whose figures a test sets. Removing an image gives back its size."""

    folder: Path
    settings: KubeletSettings = field(default_factory=lambda: parse(EVICT_AT_1000))
    uses: dict[str, int] = field(default_factory=dict)  # memory by pod name
    keeps: dict[str, int] = field(default_factory=dict)  # bytes in the volume "v" by pod name
    free: int = 5000
    changes: int = 0

    def __post_init__(self) -> None:
        self.agent = NodeAgent(self.folder)
        self.told: list[tuple[str, str, str]] = []
        (self.folder / "proc/sys/kernel").mkdir(parents=True)
        for name, text in (
            ("loadavg", "0 0 0 1/50 7"),
            ("sys/kernel/pid_max", "99"),
            ("sys/kernel/threads-max", "99"),
        ):
            (self.folder / "proc" / name).write_text(text)
        self.memory(5000)
        self.collector = ImageCollector(
            runtime=self.agent.runtime,
            pods=self.agent.worker.running,
            pinned=lambda: ["file:1"],
            space=lambda: self.filesystems().image,
            settings=self.settings,
            clock=self.agent.clock,
            tell=lambda *said: self.told.append(said),
        )
        around = Surroundings(
            usage=self,  # type: ignore[arg-type]
            storage=lambda: self,  # type: ignore[arg-type, return-value]
            running=self.agent.worker.running,
            pod_of=self.agent.wanted,
            doom=self.agent.worker.doom,
            collector=self.collector,
            runtime=self.agent.runtime,
            events=self.agent.events,
            tell=lambda *said: self.told.append(said),
            changed=self._changed,
            clock=self.agent.clock,
            proc=self.folder / "proc",
        )
        self.evictor = Evictor(self.settings, around)

    def memory(self, kib: int) -> None:
        text = f"MemTotal: 9000 kB\nMemFree: {kib} kB\nInactive(file): 0 kB\n"
        (self.folder / "proc/meminfo").write_text(text)

    def _changed(self) -> None:
        self.changes += 1

    # ---- what the evictor measures

    shared = True

    def now(self) -> Snapshot:
        pods = tuple(self._used(one) for one in self.agent.worker.running())
        return Snapshot(self.agent.clock.now(), self.agent.clock.monotonic(), HOST, pods)

    def _used(self, one: RunningPod) -> PodUsage:
        used = Reading(0, 0, self.uses.get(one.name, 0), 0, 0, 0)
        return PodUsage(one, tuple(ContainerUsage(c, used) for c in one.containers if c.running))

    def filesystems(self) -> Filesystems:
        given = 3000 * self.agent.runtime.count("remove_image")
        space = Space(10000, self.free + given, 0, 0, 0)
        return Filesystems(space, space)

    def pod(self, pod: Obj, running: RunningPod) -> PodStorage:
        kept = self.keeps.get(running.name, 0)
        return PodStorage({}, (VolumeStorage("v", self.filesystems().node, Taken(kept, 1)),))

    # ---- what happens

    def create(self, name: str, **spec: Any) -> str:
        return self.agent.create(pod(name, container("c"), **spec))

    def look(self) -> float:
        """One look, and what comes of it."""
        pause = self.evictor.step()
        for one in self.agent.worker.running():
            self.agent.sync(one.uid)
        return pause

    def phases(self) -> dict[str, str]:
        return {one.name: self.agent.status(one.name)["phase"] for one in self.agent.worker.running()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_one_pod_after_the_other_until_it_is_enough(host: Host) -> None:
    for name, used in (("big", 3000), ("small", 10), ("middle", 500)):
        host.create(name)
        host.uses[name] = used << 10
    assert host.look() == 10
    assert (host.evictor.conditions, host.changes) == (frozenset(), 0)
    host.memory(900)
    assert host.look() == 1
    assert (host.evictor.conditions, host.changes) == ({"MemoryPressure"}, 1)
    assert host.told == [("Warning", "EvictionThresholdMet", "Attempting to reclaim memory")]
    status = host.agent.status("big")
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    said = (
        "The node was low on resource: memory. Threshold quantity: 1000Ki, available: 900Ki. "
        "Container c was using 3000Ki, request is 0, has larger consumption of memory. "
    )
    assert status["message"] == said
    disrupted = conditions.get({"status": status}, "DisruptionTarget")
    assert disrupted
    assert (disrupted["status"], disrupted["reason"]) == ("True", "TerminationByKubelet")
    assert ("big", "Warning", "Evicted", said) in host.agent.events.said
    host.look()
    assert host.phases() == {"big": "Failed", "small": "Running", "middle": "Failed"}
    host.memory(5000)
    host.look()
    assert host.phases()["small"] == "Running"
    assert host.evictor.conditions == {"MemoryPressure"}  # for the transition period
    host.agent.clock.step(301)
    host.look()
    assert (host.evictor.conditions, host.changes) == (frozenset(), 2)


def test_a_hard_eviction_gives_no_grace_and_is_waited_for(host: Host) -> None:
    host.agent.runtime.stubborn = True
    host.create("big")
    host.create("small")
    host.uses["big"] = 1
    host.memory(900)
    host.look()
    assert host.agent.status("big")["phase"] == "Running"  # it has not ended yet
    assert host.look() == 1
    assert host.phases() == {"big": "Running", "small": "Running"}  # nobody else goes meanwhile
    assert [said[0] for said in host.agent.events.said if said[2] == "Evicted"] == ["big"]
    host.agent.clock.step(2)
    for one in host.agent.worker.running():
        host.agent.sync(one.uid)
    assert host.phases() == {"big": "Failed", "small": "Running"}


def test_the_disk_is_tidied_up_first(host: Host) -> None:
    host.agent.runtime.local |= {"file:1", "old:1"}
    host.create("p")
    assert host.collector.step() == 10
    host.free = 1000
    host.look()
    assert host.phases() == {"p": "Failed"}, "images are too young to go"
    host.create("q")
    host.agent.clock.step(121)
    host.look()
    assert host.phases() == {"p": "Failed", "q": "Running"}
    assert host.agent.runtime.local == {IMAGE, "file:1"}
    assert ("Warning", "EvictionThresholdMet", "Attempting to reclaim ephemeral-storage") in host.told


def test_old_records_go_for_the_disk_and_the_last_one_stays(host: Host) -> None:
    uid = host.create("p")
    for _ in range(2):
        host.agent.runtime.end(host.agent.runtime.newest("c").id, 1)
        host.agent.clock.step(400)
        host.agent.sync(uid)
    host.agent.runtime.end(host.agent.runtime.newest("c").id, 1)
    host.agent.sync(uid)
    running = host.agent.runtime.pod(uid)
    assert running
    assert [(one.attempt, one.state) for one in running.containers] == [(2, "exited"), (1, "exited")]
    host.free = 1000
    host.evictor.step()
    running = host.agent.runtime.pod(uid)
    assert running
    assert [one.attempt for one in running.containers] == [2]


def test_a_volume_that_grew_beyond_its_size(host: Host) -> None:
    host.create("p", volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Ki"}}])
    host.create("free", volumes=[{"name": "v", "emptyDir": {}}])
    host.keeps |= {"p": 1024, "free": 4096}
    host.look()
    assert host.phases() == {"p": "Running", "free": "Running"}
    host.keeps["p"] = 1025
    host.look()
    assert host.phases() == {"p": "Failed", "free": "Running"}
    assert host.agent.status("p")["message"] == 'Usage of EmptyDir volume "v" exceeds the limit "1Ki". '


def test_the_files_of_a_pod_that_has_ended_go_when_the_server_knows(host: Host) -> None:
    uid = host.create("p", volumes=[{"name": "v", "emptyDir": {}}])
    folder = PodFolder.of(host.folder, uid)
    assert folder.volume("v").is_dir()
    host.agent.worker.doom(uid, Doom("Evicted", "x"))
    host.agent.worker.sync(uid)
    assert folder.exists, "its last status was not written yet"
    host.agent.statuses.write(uid)
    host.agent.sync(uid)
    assert not folder.exists
    assert host.agent.status("p")["message"] == "x"


def test_a_pod_that_comes_to_a_host_under_pressure_is_refused(host: Host) -> None:
    old = host.create("old")
    host.uses["old"] = 1
    host.evictor.conditions = frozenset({"MemoryPressure"})
    object.__setattr__(host.agent.worker, "refusal", host.evictor.refusal)
    host.create("new")
    status = host.agent.status("new")
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"] == "Pod was rejected: The node had condition: [MemoryPressure]. "
    assert host.agent.runtime.count("create_sandbox") == 1
    asked = container("c", resources={"requests": {"memory": "1"}})
    host.agent.create(pod("asked", asked))
    assert host.agent.status("asked")["phase"] == "Running"
    host.agent.start()  # a new agent, which sees the old pod for the first time
    object.__setattr__(host.agent.worker, "refusal", host.evictor.refusal)
    host.agent.sync(old)
    assert host.agent.status("old")["phase"] == "Running"


def test_an_engine_that_is_down_is_waited_for(host: Host) -> None:
    host.create("p")
    host.free = 1000
    host.agent.runtime.down = True
    assert host.evictor.step() == 10


def test_images_go_when_the_disk_is_full_and_who_needs_room_is_told_when_there_is_none(host: Host) -> None:
    host.agent.runtime.local |= {"file:1", "a:1", "b:1"}
    host.free = 1000
    assert host.collector.step() == 10
    host.create("p")
    host.agent.clock.step(60)
    assert host.collector.step() == 300
    (said,) = host.told
    assert said[:2] == ("Warning", "FreeDiskSpaceFailed")
    assert "Attempted to free 1000 bytes, but only found 0 bytes eligible to free." in said[2]
    host.agent.clock.step(60)
    host.collector.step()
    assert host.agent.runtime.local == {IMAGE, "file:1", "b:1"}  # one was enough
    assert len(host.told) == 1
