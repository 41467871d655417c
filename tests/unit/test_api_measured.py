"""metrics.k8s.io: asked of all agents at once, kept for a while, dressed as metrics-server does it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from mini8s.api.measured import node_metrics, pod_metrics
from mini8s.api.node_usage import NodeUsage
from mini8s.objects.errors import ServiceUnavailable
from mini8s.objects.kinds import Obj
from mini8s.util.clock import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIME = "2026-01-01T00:00:00Z"


def used(nanocores: int | None, memory: int, **more: Any) -> Obj:
    rate = {} if nanocores is None else {"usageNanoCores": nanocores, "windowSeconds": 15.01}
    return {"cpu": {"time": TIME, **rate}, "memory": {"workingSetBytes": memory}, **more}


def stored(name: str, uid: str = "", namespace: str = "") -> Obj:
    return {"metadata": {"name": name, "uid": uid, "namespace": namespace, "labels": {"a": "b"}}}


def pod(uid: str, *containers: Obj) -> Obj:
    return used(1, 1, podRef={"uid": uid}, containers=list(containers))


def test_figures_of_nodes() -> None:
    said = {"n1": {"node": used(1_500_000, 3 << 20)}, "n2": {"node": used(None, 5)}}
    assert node_metrics([stored("n1"), stored("n2"), stored("n3")], said, NOW) == [
        {
            "kind": "NodeMetrics",
            "apiVersion": "metrics.k8s.io/v1beta1",
            "metadata": {"name": "n1", "creationTimestamp": TIME, "labels": {"a": "b"}},
            "timestamp": TIME,
            "window": "15.01s",
            "usage": {"cpu": "1500u", "memory": "3Mi"},
        }
    ]


def test_figures_of_pods() -> None:
    said = {
        "n1": {"pods": [pod("u1", used(1, 1025, name="c"), used(0, 0, name="d"))]},
        "n2": {"pods": [pod("u2", used(1, 5, name="c"), used(None, 5, name="new")), pod("u3")]},
        "n3": {"pods": [pod("u4", used(1, 1, name="c"))]},
    }
    wanted = [stored(name, f"u{name[1]}", "ns") for name in ("p1", "p2", "p3", "p9")]
    (found,) = pod_metrics(wanted, said, NOW)
    assert found["metadata"]["namespace"] == "ns"
    assert found["containers"] == [
        {"name": "c", "usage": {"cpu": "1n", "memory": "1025"}},
        {"name": "d", "usage": {"cpu": "0", "memory": "0"}},
    ]


class Agents:
    """Counts what is asked; `slow` ones answer when they are let, `lost` ones never."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.slow, self.lost = {"slow"}, {"lost"}
        self.let = threading.Event()
        self.answered = threading.Event()

    def __call__(self, node: str) -> Obj:
        self.asked.append(node)
        if node in self.lost:
            raise ServiceUnavailable("away")
        if node in self.slow:
            assert self.let.wait(60)
            self.answered.set()
        return {"node": node}


def test_an_answer_is_good_for_fifteen_seconds() -> None:
    agents, clock = Agents(), FakeClock()
    usage = NodeUsage(agents, clock.monotonic)
    assert usage.of(["n1", "n2", "lost"]) == {"n1": {"node": "n1"}, "n2": {"node": "n2"}}
    clock.step(14)
    assert usage.of(["n1"]) == {"n1": {"node": "n1"}}
    assert sorted(agents.asked) == ["lost", "n1", "n2"]
    clock.step(2)
    agents.lost.add("n1")
    assert usage.of(["n1", "n2"]) == {"n2": {"node": "n2"}}  # nothing old is told
    assert sorted(agents.asked)[1:] == ["n1", "n1", "n2", "n2"]


def test_who_is_slow_is_left_out_and_asked_once() -> None:
    agents, clock = Agents(), FakeClock()
    usage = NodeUsage(agents, clock.monotonic, wait_seconds=0.01)
    assert usage.of(["slow"]) == usage.of(["slow"]) == {}
    agents.let.set()
    assert agents.answered.wait(60)
    patient = NodeUsage(agents, clock.monotonic)
    assert patient.of(["slow", "n1"]).keys() == {"slow", "n1"}
    assert agents.asked.count("slow") == 2
