"""`mini8s status`: a screen for people, the same for scripts."""

from __future__ import annotations

from datetime import UTC, datetime

from mini8s.cli.status import MOST_TROUBLES, Facts, screen, summary
from mini8s.objects.kinds import Obj

NOW = datetime(2026, 6, 1, tzinfo=UTC)
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def node(name: str, status: Obj) -> Obj:
    return {"metadata": {"name": name}, "status": status}


def pod(name: str, phase: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "shop"}, "status": {"phase": phase, **READY}}


def test_a_healthy_cluster_and_one_that_is_not() -> None:
    well = Facts("v1", [node("pi", READY)], [], [pod("web", "Running")], [])
    assert summary(well) == {
        "version": "v1",
        "healthy": True,
        "nodes": {"pi": True},
        "pods": {"Running": 1},
        "troubles": [],
    }
    ill = Facts("v1", [node("pi", {})], [], [pod("web", "Failed")], [])
    said = summary(ill)
    assert (said["healthy"], said["nodes"]) == (False, {"pi": False})
    assert said["troubles"] == [
        "node pi is not ready: it has not reported yet",
        "pod shop/web is Failed",
    ]


def test_it_stays_a_screen_however_much_is_wrong() -> None:
    many = Facts("v1", [node("pi", READY)], [], [pod(f"web-{number}", "Failed") for number in range(99)], [])
    lines = list(screen(many, NOW))
    assert len(lines) <= 24
    assert lines[-1] == f"! and {99 - MOST_TROUBLES} more: mini8s get nodes, mini8s get pods -A"
