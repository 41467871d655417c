"""What hollow nodes say of their pods, told from the pods alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.api import FakeApi

from mini8s.agent.hollow import pretend
from mini8s.agent.hollow.nodes import FIRST_ADDRESS, HollowNodes, essence
from mini8s.agent.kubelet.settings import DEFAULTS
from mini8s.agent.kubelet.status import Facts, pod_status
from mini8s.agent.kubelet.view import View
from mini8s.client.informer import Informers
from mini8s.objects import conditions
from mini8s.objects.kinds import LEASES, NODES, PODS, Obj
from mini8s.util.clock import FakeClock
from mini8s.util.workers import Stop

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(*, policy: str = "Always", seconds: str = "", **container: Any) -> Obj:
    annotations = {pretend.SECONDS: seconds} if seconds else {}
    return {
        "metadata": {"name": "p", "namespace": "default", "uid": "u", "annotations": annotations},
        "spec": {
            "nodeName": "n-1",
            "restartPolicy": policy,
            "containers": [{"name": "main", "image": "x", **container}],
        },
    }


def status(of: Obj, after: float) -> Obj:
    now = NOW + timedelta(seconds=after)
    running = pretend.running(of, NOW, now)
    return pod_status(View(of, running), Facts(now, NOW, "10.0.0.1", "10.42.0.2"))


def said(of: Obj, after: float) -> tuple[str, str, int]:
    """The phase, the container's state, and how often it was started again."""
    found = status(of, after)
    one = found["containerStatuses"][0]
    return found["phase"], next(iter(one["state"])), one["restartCount"]


def test_a_pod_runs_and_is_ready_a_moment_after_it_came() -> None:
    assert said(pod(), 0.5) == ("Pending", "waiting", 0)
    assert pretend.next_change(pod(), NOW, NOW + timedelta(seconds=0.4)) == pytest.approx(0.6)
    assert said(pod(), 1) == ("Running", "running", 0)
    assert conditions.is_true({"status": status(pod(), 1)}, "Ready")
    assert pretend.next_change(pod(), NOW, NOW + timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    ("policy", "command", "after", "wanted"),
    [
        ("Never", [], 3, ("Running", "running", 0)),
        ("Never", [], 6, ("Succeeded", "terminated", 0)),
        ("Always", [], 6, ("Running", "running", 1)),
        ("Always", [], 12, ("Running", "running", 2)),
        ("OnFailure", ["exit", "0"], 2, ("Succeeded", "terminated", 0)),
        ("OnFailure", ["exit", "3"], 4, ("Running", "running", 3)),
        ("Never", ["exit", "3"], 2, ("Failed", "terminated", 0)),
    ],
)
def test_containers_end_as_their_pod_says(
    policy: str, command: list[str], after: float, wanted: tuple[str, str, int]
) -> None:
    assert said(pod(policy=policy, seconds="5", command=command), after) == wanted


def test_it_is_known_when_a_container_ends() -> None:
    again = pretend.next_change(pod(policy="Never", seconds="5"), NOW, NOW + timedelta(seconds=2))
    assert again == pytest.approx(4)
    assert pretend.next_change(pod(policy="Never", seconds="5"), NOW, NOW + timedelta(seconds=6)) is None


def test_init_containers_are_through_before_the_others_run_and_sidecars_run_on() -> None:
    made = pod()
    sidecar = {"name": "side", "image": "x", "restartPolicy": "Always"}
    made["spec"]["initContainers"] = [{"name": "first", "image": "x"}, sidecar]
    states = {one["name"]: next(iter(one["state"])) for one in status(made, 1)["initContainerStatuses"]}
    assert states == {"first": "terminated", "side": "running"}
    assert said(made, 1) == ("Running", "running", 0)


def test_only_where_it_is_is_kept_of_a_pod_that_runs_for_ever() -> None:
    made = pod()
    made["metadata"]["resourceVersion"] = "7"
    assert essence(made) is made
    ready = {**made, "status": status(made, 1)}
    assert essence(ready)["spec"] == {"nodeName": "n-1"}
    going = {**ready, "metadata": {**ready["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert essence(going) is going
    job = {**pod(policy="Never", seconds="5")}
    assert essence({**job, "status": status(job, 1)})["spec"] == job["spec"], "it will end"


class Hollow:
    """Two hollow nodes on a fake API, without threads."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.api = FakeApi(now=self.clock.now, endless=False)
        self.informers = Informers(self.api, Stop())
        self.asked: list[str] = []
        self.nodes = HollowNodes(
            ["n-1", "n-2"],
            self._as,
            self.informers,
            labels={"rack": "7"},
            taints=(),
            settings=DEFAULTS,
            clock=self.clock,
            stop=Stop(),
        )

    def _as(self, name: str) -> FakeApi:
        self.asked.append(name)
        return self.api

    def observe(self) -> None:
        for informer in self.informers._informers.values():
            informer.step()

    def register(self) -> None:
        for name in ("n-1", "n-2"):
            self.nodes._beats.add(f"status {name}")
        for _ in range(4):
            self.nodes.beat()

    def pod(self) -> Obj:
        return self.api.get(PODS, "default", "p")


@pytest.fixture
def hollow() -> Hollow:
    return Hollow()


def test_each_node_registers_and_holds_its_lease_in_its_own_name(hollow: Hollow) -> None:
    hollow.register()
    assert hollow.asked == ["n-1", "n-2"]
    assert hollow.nodes.registered == 2
    node = hollow.api.get(NODES, "", "n-2")
    assert conditions.is_true(node, "Ready")
    assert node["metadata"]["labels"]["rack"] == "7"
    assert node["status"]["addresses"][0]["address"] == str(FIRST_ADDRESS + 1)
    assert {lease["spec"]["holderIdentity"] for lease in hollow.api.list(LEASES).items} == {"n-1", "n-2"}


def test_a_pod_is_said_to_wait_to_run_and_to_be_gone(hollow: Hollow) -> None:
    hollow.api.create(NODES, {"metadata": {"name": "n-1"}, "spec": {"podCIDR": "10.42.3.0/24"}})
    hollow.register()
    hollow.api.create(PODS, pod())
    hollow.observe()
    assert hollow.nodes.sync("default/p") == pytest.approx(1)
    assert hollow.pod()["status"]["phase"] == "Pending"
    hollow.observe()
    writes = len(hollow.api.calls)
    hollow.nodes.sync("default/p")
    assert len(hollow.api.calls) == writes, "a second round says nothing"
    hollow.clock.step(1)
    hollow.observe()
    assert hollow.nodes.sync("default/p") is None
    assert (hollow.pod()["status"]["phase"], hollow.pod()["status"]["podIP"]) == ("Running", "10.42.3.1")
    hollow.observe()
    writes = len(hollow.api.calls)
    assert hollow.nodes.sync("default/p") is None
    assert len(hollow.api.calls) == writes
    hollow.api.delete(PODS, "default", "p")
    hollow.observe()
    hollow.nodes.sync("default/p")
    assert not hollow.api.list(PODS).items
    hollow.observe()
    addresses = hollow.nodes._nodes["n-1"].addresses
    assert addresses
    assert addresses.all() == {}, "its address is free again"


def test_a_pod_of_somebody_elses_node_is_left_alone(hollow: Hollow) -> None:
    hollow.register()
    other = pod()
    other["spec"]["nodeName"] = "h1"
    hollow.api.create(PODS, other)
    hollow.observe()
    assert hollow.nodes.sync("default/p") is None
    assert not hollow.pod().get("status")
