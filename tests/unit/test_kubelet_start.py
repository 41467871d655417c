"""An agent that starts again says of its node only what it knows."""

from __future__ import annotations

from pathlib import Path

from fakes.api import FakeApi, FakeEvents
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.node.heartbeat import Heartbeat
from mini8s.agent.kubelet.relist import Relist
from mini8s.agent.kubelet.settings import DEFAULTS
from mini8s.objects import conditions
from mini8s.objects.kinds import NODES
from mini8s.util.clock import FakeClock
from mini8s.util.workers import Stop


def start(api: FakeApi, clock: FakeClock, runtime: FakeRuntime, folder: Path) -> Heartbeat:
    relist = Relist(runtime, lambda _: None, Stop())
    return Heartbeat(
        api=api,
        runtime=runtime,
        name="n1",
        ips=lambda: ("10.99.0.11",),
        labels={},
        taints=[],
        data_dir=folder,
        clock=clock,
        engine_trouble=lambda: relist.trouble,
        network_trouble=lambda: "",
        settings=DEFAULTS,
        events=FakeEvents(),
    )


def test_a_restart_leaves_the_node_ready_though_its_pods_were_not_looked_at_yet(tmp_path: Path) -> None:
    clock = FakeClock()
    api, runtime = FakeApi(now=clock.now), FakeRuntime(clock.now)
    for _ in range(2):
        start(api, clock, runtime, tmp_path).step()
        clock.step(5)
    found = api.get(NODES, "", "n1")
    assert conditions.is_true(found, "Ready")
    assert conditions.get(found, "Ready")["lastTransitionTime"] == found["metadata"]["creationTimestamp"]


def test_an_engine_that_does_not_answer_is_told_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    api, runtime = FakeApi(now=clock.now), FakeRuntime(clock.now)
    runtime.down = True
    start(api, clock, runtime, tmp_path).step()
    said = conditions.get(api.get(NODES, "", "n1"), "Ready")
    assert said is not None
    assert said["status"] == "False"
