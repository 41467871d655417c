"""A pod that has ended keeps the address it had, however short its life was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mini8s.agent.kubelet.marks import Marks
from mini8s.agent.kubelet.memory import Memory
from mini8s.agent.kubelet.status import Facts, pod_status
from mini8s.agent.kubelet.view import View
from mini8s.agent.runtime.records import RunningPod
from mini8s.util.clock import FakeClock, SteadyTime

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POD = {
    "metadata": {"namespace": "default", "name": "short", "uid": "u1"},
    "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"},
}


def test_it_is_told_although_the_server_never_heard_of_it(tmp_path: Path) -> None:
    memory = Memory(NOW, Marks(tmp_path / "marks", SteadyTime(FakeClock(NOW))))
    assert memory.last_addresses == ()
    memory.addresses = {"sandbox": ("10.42.0.7", "fd42::7")}
    facts = Facts(now=NOW, since=NOW, host_ips=("10.99.0.11",), last_ips=memory.last_addresses)
    status = pod_status(View(POD, RunningPod("default", "short", "u1"), {}), facts)
    assert (status["podIP"], status["podIPs"]) == (
        "10.42.0.7",
        [{"ip": "10.42.0.7"}, {"ip": "fd42::7"}],
    )
    told = {one["type"]: one["status"] for one in status["conditions"]}
    assert told["PodReadyToStartContainers"] == "False"
