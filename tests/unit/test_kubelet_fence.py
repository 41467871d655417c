"""Pods that must not run on a host that may be taken for lost: when they end, when they may begin."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.api import FakeApi, FakeEvents
from fakes.node_agent import NodeAgent, container, pod
from fakes.runtime import FakeRuntime

from mini8s.agent.kubelet.node.fence import Fence
from mini8s.agent.kubelet.node.heartbeat import Heartbeat
from mini8s.agent.kubelet.settings import BadArgument, parse
from mini8s.objects import conditions
from mini8s.objects.errors import ApiError, Conflict, ServiceUnavailable
from mini8s.objects.kinds import LEASES, PODS, Obj
from mini8s.util.clock import FakeClock


class Host:
    """An agent and the fence around its pods, with a lease of 40 s."""

    def __init__(self, folder: Path) -> None:
        self.agent = NodeAgent(folder)
        self.woken: list[str] = []
        self.start()

    def start(self) -> None:
        """A new agent, which knows nothing of earlier renewals."""
        self.fence = Fence(40, self.agent.api, self._pods, self.woken.append, self.agent.clock.monotonic)
        self.agent.lost, self.agent.may_begin = self.fence.lost, self.fence.may_begin
        self.agent.start()

    def _pods(self) -> list[Obj]:
        return list(self.agent.api.list(PODS).items)

    def renew(self) -> None:
        self.fence.renewed(self.agent.clock.monotonic())

    def pass_time(self, seconds: float, uid: str) -> None:
        self.agent.clock.step(seconds)
        self.fence.step()
        self.agent.sync(uid)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def fenced(policy: str = "fence") -> Obj:
    made = pod("web", container("c"), terminationGracePeriodSeconds=5)
    made["metadata"]["annotations"] = {"mini8s.io/on-node-lost": policy}
    return made


def phase(host: Host) -> str:
    return str(host.agent.status().get("phase"))


def test_a_fenced_pod_ends_when_the_lease_has_run_out(host: Host) -> None:
    host.renew()
    uid = host.agent.create(fenced())
    host.pass_time(39, uid)
    assert (phase(host), host.woken) == ("Running", [])
    host.pass_time(1, uid)
    assert host.woken == [uid]
    for _ in range(3):
        host.pass_time(5, uid)
    assert not host.agent.runtime.pod(uid).sandbox  # type: ignore[union-attr]
    status = host.agent.status()
    assert (status["phase"], status["reason"]) == ("Failed", "NodeLost")
    assert conditions.is_true({"status": status}, "DisruptionTarget")
    host.renew()
    host.pass_time(1, uid)
    assert phase(host) == "Failed", "it ended for good"


def test_renewals_let_it_run(host: Host) -> None:
    host.renew()
    uid = host.agent.create(fenced())
    for _ in range(20):
        host.pass_time(30, uid)
        host.renew()
    assert (phase(host), host.woken) == ("Running", [])


@pytest.mark.parametrize("policy", ["replace", "keep"])
def test_other_pods_go_on(host: Host, policy: str) -> None:
    uid = host.agent.create(fenced(policy))
    host.pass_time(1000, uid)
    assert phase(host) == "Running"


def test_a_host_that_starts_alone_begins_none(host: Host) -> None:
    uid = host.agent.create(fenced())
    assert (phase(host), host.agent.runtime.count("create_sandbox")) == ("Pending", 0)
    host.pass_time(1000, uid)
    assert (phase(host), host.agent.runtime.count("create_sandbox")) == ("Pending", 0)
    host.renew()
    host.pass_time(1, uid)
    assert phase(host) == "Running"


def test_what_the_server_wants_no_more_is_not_begun_from_an_old_picture(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = host.agent.create(fenced())
    known = host.agent.wanted(uid)
    monkeypatch.setattr(host.agent, "wanted", lambda _uid: known)
    host.start()
    host.agent.api.delete(PODS, "default", "web", grace_seconds=0)
    host.renew()
    host.pass_time(1, uid)
    assert host.agent.runtime.count("create_sandbox") == 0
    host.agent.api.create(PODS, fenced())
    host.pass_time(1, uid)
    assert host.agent.runtime.count("create_sandbox") == 0, "the next one of its name is another"


def test_an_agent_that_starts_again_lets_it_run_while_it_asks_and_no_longer(host: Host) -> None:
    host.renew()
    uid = host.agent.create(fenced())
    host.start()
    host.pass_time(9, uid)
    assert phase(host) == "Running"
    host.pass_time(1, uid)
    host.pass_time(5, uid)
    assert phase(host) == "Failed"


def test_the_loop_wakes_when_it_may_be_over(host: Host) -> None:
    assert host.fence.step() == 10
    host.renew()
    host.agent.clock.step(15)
    assert host.fence.step() == 25
    host.agent.api.create(PODS, fenced())
    assert host.fence.step() == 1
    host.agent.clock.step(25)
    assert host.fence.step() == 10
    assert host.fence.lost(fenced())


class SlowApi(FakeApi):
    """Takes its time with a lease, or fails after it has taken it."""

    clock: FakeClock
    raises: ApiError | None = None

    def update(self, *args: object, **more: object) -> Obj:
        answer: Obj = super().update(*args, **more)  # type: ignore[arg-type]
        self.clock.step(7)
        if self.raises:
            raise self.raises
        return answer


def test_a_renewal_counts_from_before_it_was_asked_for(tmp_path: Path) -> None:
    clock = FakeClock()
    api = SlowApi(now=clock.now)
    api.clock = clock
    fence = Fence(40, api, list, lambda _uid: None, clock.monotonic)
    heart = Heartbeat(
        api=api, runtime=FakeRuntime(clock.now), name="n1", ips=lambda: ("10.99.0.11",), labels={}, taints=[],
        data_dir=tmp_path, clock=clock, engine_trouble=lambda: "", network_trouble=lambda: "",
        settings=parse(["node-lease-duration-seconds=40"]), events=FakeEvents(), fence=fence,
    )  # fmt: skip
    heart.step()
    heart.renew()
    heart.renew()
    assert fence.step() == 33
    api.raises = ServiceUnavailable("no answer")
    heart.renew()
    assert fence.step() == 26, "a renewal without an answer is none"
    api.raises, said = Conflict("another was first"), heart.renewed
    heart.renew()
    assert fence.step() < 26, "one that another came before is none"
    assert heart.renewed == said


def test_a_shorter_lease_is_renewed_more_often(tmp_path: Path) -> None:
    clock = FakeClock()
    api = FakeApi(now=clock.now)
    heart = Heartbeat(
        api=api, runtime=FakeRuntime(clock.now), name="n1", ips=lambda: ("10.99.0.11",), labels={}, taints=[],
        data_dir=tmp_path, clock=clock, engine_trouble=lambda: "", network_trouble=lambda: "",
        settings=parse(["node-lease-duration-seconds=8"]), events=FakeEvents(),
    )  # fmt: skip
    heart.step()
    assert heart.renew() == 2
    assert api.get(LEASES, "kube-node-lease", "n1")["spec"]["leaseDurationSeconds"] == 8
    with pytest.raises(BadArgument):
        parse(["node-lease-duration-seconds=0"])
