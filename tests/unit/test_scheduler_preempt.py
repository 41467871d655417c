"""Whom a pod of higher priority removes, and whom it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects.labels import from_labels, nothing
from mini8s.scheduler.base import NodeState, PodFacts, Resources
from mini8s.scheduler.board import Board
from mini8s.scheduler.preempt import Budget, Unhelpful, Victims, preempt
from mini8s.scheduler.profiles import profile
from mini8s.scheduler.terms import PodRules, PodTerm

ROOM = Resources(cpu=1000, memory=1 << 30, pods=110)


def pod(name: str, cpu: int, priority: int = 0, node: str = "", **more: object) -> PodFacts:
    wanted = Resources(cpu, 0, 1)
    return PodFacts("default", name, name, wanted, node_name=node, priority=priority, **more)  # type: ignore[arg-type]


def board(*there: PodFacts, nodes: Sequence[str] = ("a", "b"), **more: object) -> Board:
    made = Board()
    for name in nodes:
        made.put_node(NodeState(name, allocatable=ROOM, **more))  # type: ignore[arg-type]
    for one in there:
        made.put(one)
    return made


def victims(wanted: PodFacts, there: Board, *budgets: Budget) -> tuple[str, list[str]]:
    found = preempt(wanted, there, profile(), budgets)
    assert isinstance(found, Victims)
    return found.node, sorted(one.name for one in found.pods)


def test_only_as_many_go_as_must_and_the_least_important() -> None:
    there = board(pod("low", 400, 1, "a"), pod("mid", 400, 5, "a"), pod("high", 900, 100, "b"))
    assert victims(pod("p", 500, 10), there) == ("a", ["low"])


def test_nobody_of_the_same_priority_goes() -> None:
    there = board(pod("x", 900, 10, "a"), pod("y", 900, 11, "b"))
    found = preempt(pod("p", 500, 10), there, profile())
    assert isinstance(found, Unhelpful)
    assert str(found) == (
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    )


def test_a_node_that_is_too_small_or_tainted_helps_nobody() -> None:
    taint = {"key": "x", "effect": "NoSchedule"}
    there = board(pod("x", 900, 1, "a"), taints=[taint])
    assert str(preempt(pod("p", 500, 10), there, profile())) == (
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    there = board(pod("x", 900, 1, "a"))
    assert isinstance(preempt(pod("p", 1001, 10), there, profile()), Unhelpful)


def test_who_may_not_preempt_does_not() -> None:
    there = board(pod("x", 900, 1, "a"), pod("y", 900, 1, "b"))
    assert preempt(pod("p", 500, 10, preempts=False), there, profile()) is None


def test_who_waits_for_victims_to_end_removes_no_more() -> None:
    there = board(pod("x", 900, 1, "a", deleting=True), pod("y", 900, 1, "b"))
    assert preempt(pod("p", 500, 10, nominated="a"), there, profile()) is None


def test_a_budget_is_broken_only_when_nothing_else_helps() -> None:
    there = board(pod("x", 900, 1, "a", labels={"app": "db"}), pod("y", 900, 5, "b"))
    budget = Budget("default", from_labels({"app": "db"}), 0)
    assert victims(pod("p", 500, 10), there, budget) == ("b", ["y"])
    assert victims(pod("p", 500, 10), there, replace(budget, spare=1)) == ("a", ["x"])
    alone = board(pod("x", 900, 1, "a", labels={"app": "db"}), nodes="a")
    assert victims(pod("p", 500, 10), alone, budget) == ("a", ["x"])


def test_who_came_later_goes_first() -> None:
    there = board(pod("x", 900, 1, "a", started="2026-01-01"), pod("y", 900, 1, "b", started="2026-01-02"))
    assert victims(pod("p", 500, 10), there) == ("b", ["y"])


def test_room_that_is_being_made_for_another_is_not_taken() -> None:
    there = board(pod("x", 400, 1, "a"), pod("y", 900, 50, "b"))
    there.nominate(pod("first", 600, 20), "a")
    assert isinstance(preempt(pod("p", 500, 10), there, profile()), Unhelpful)
    assert victims(pod("p", 700, 30), there) == ("a", ["x"])


def test_whom_it_will_not_be_near_goes_if_that_is_enough() -> None:
    term = PodTerm("zone", from_labels({"app": "db"}), frozenset({"default"}), nothing())
    wanted = pod("p", 100, 10, repelled=PodRules((term,)))
    alone, another = (
        pod(name, 100, 1, node, labels={"app": "db"}) for name, node in (("x", "a"), ("y", "b"))
    )
    zone = {"zone": "1"}
    assert victims(wanted, board(alone, labels=zone)) == ("a", ["x"])
    assert isinstance(preempt(wanted, board(alone, another, labels=zone), profile()), Unhelpful)


@given(
    there=st.lists(st.tuples(st.integers(50, 600), st.integers(0, 3), st.sampled_from("ab")), max_size=8),
    cpu=st.integers(100, 900),
)
def test_victims_make_room_and_each_is_needed(there: Sequence[tuple[int, int, str]], cpu: int) -> None:
    used = {"a": 0, "b": 0}
    placed = []
    for number, (size, priority, node) in enumerate(there):
        if used[node] + size <= ROOM.cpu:
            used[node] += size
            placed.append(pod(f"p{number}", size, priority, node))
    found = preempt(pod("p", cpu, 2), board(*placed), profile())
    lower = {name: [one for one in placed if one.node_name == name and one.priority < 2] for name in "ab"}
    helps = {
        name
        for name in "ab"
        if lower[name] and used[name] - sum(one.requests.cpu for one in lower[name]) + cpu <= ROOM.cpu
    }
    fits = {name for name in "ab" if used[name] + cpu <= ROOM.cpu}
    if not isinstance(found, Victims):
        assert not helps - fits
        return
    gone = [one.requests.cpu for one in found.pods]
    left = used[found.node] - sum(gone)
    assert found.node in helps
    assert left + cpu <= ROOM.cpu
    assert all(left + one + cpu > ROOM.cpu for (one,) in combinations(gone, 1))
