"""The work queue: once each, never twice at a time, later when it failed."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.client.workqueue import MOST_SECONDS, WorkQueue
from mini8s.util.clock import FakeClock


def drain(queue: WorkQueue) -> list[str]:
    found = []
    while (key := queue.get(0)) is not None:
        found.append(key)
        queue.done(key)
    return found


def test_equal_keys_are_done_once_in_order() -> None:
    queue = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert drain(queue) == ["a", "b"]


def test_who_is_hurried_comes_at_once_and_once() -> None:
    clock = FakeClock()
    queue = WorkQueue(clock.monotonic)
    queue.add_after("a", 3600.0)
    queue.hurry()
    assert drain(queue) == ["a"]
    clock.step(4000.0)
    assert drain(queue) == []


def test_a_key_added_while_it_is_done_comes_again_afterwards() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert queue.get(0) == "a"
    queue.add("a")
    queue.add("a")
    assert queue.get(0) is None
    queue.done("a")
    assert drain(queue) == ["a"]


def test_delays_and_the_shortest_counts() -> None:
    clock = FakeClock()
    queue = WorkQueue(clock.monotonic)
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    queue.add_after("b", 7)
    assert queue.get(0) is None
    clock.step(5)
    assert drain(queue) == ["a"]
    clock.step(2)
    assert drain(queue) == ["b"]
    clock.step(60)
    assert drain(queue) == []


def test_failures_wait_longer_and_forget_resets() -> None:
    clock = FakeClock()
    queue = WorkQueue(clock.monotonic)

    def wait() -> float:
        queue.add_rate_limited("a")
        waited = 0.0
        while queue.get(0) is None:
            clock.step(0.005)
            waited += 0.005
        queue.done("a")
        return round(waited, 3)

    assert [wait() for _ in range(4)] == pytest.approx([0.005, 0.01, 0.02, 0.04], abs=0.006)
    queue.forget("a")
    assert wait() == 0.005
    for _ in range(100):
        queue.add_rate_limited("b")
    queue.forget("b")
    queue.add_rate_limited("c")
    clock.step(MOST_SECONDS)
    assert drain(queue) == ["b", "c"]


def test_the_longest_pause_is_what_the_queue_was_told() -> None:
    clock = FakeClock()
    queue = WorkQueue(clock.monotonic, most_seconds=10.0)
    for _ in range(20):
        queue.add_rate_limited("a")
        clock.step(10.0)
        assert drain(queue) == ["a"]


def test_shut_down_wakes_a_waiting_worker() -> None:
    queue = WorkQueue()
    found: list[str | None] = []
    worker = threading.Thread(target=lambda: found.append(queue.get()))
    worker.start()
    queue.shut_down()
    worker.join(60)
    assert found == [None]
    queue.add("a")
    assert queue.get(0) is None


def test_a_delayed_key_does_not_wait_for_a_busy_worker() -> None:
    queue = WorkQueue()
    found: list[str | None] = []
    workers = [threading.Thread(target=lambda: found.append(queue.get(60))) for _ in range(2)]
    for worker in workers:
        worker.start()
    queue.add_after("late", 0.5)
    queue.add("now")  # whoever takes it never comes back
    for worker in workers:
        worker.join(60)
    assert found == ["now", "late"]


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done", "later"]), st.sampled_from("abc"))))
def test_no_key_is_lost_or_done_twice_at_a_time(steps: list[tuple[str, str]]) -> None:
    clock = FakeClock()
    queue = WorkQueue(clock.monotonic)
    wanted: set[str] = set()
    busy: set[str] = set()
    for step, key in steps:
        if step == "add":
            queue.add(key)
            wanted.add(key)
        elif step == "later":
            queue.add_after(key, 1)
            wanted.add(key)
        elif step == "done" and key in busy:
            queue.done(key)
            busy.discard(key)
        elif step == "get" and (got := queue.get(0)):
            assert got not in busy
            busy.add(got)
            wanted.discard(got)
    for key in busy:
        queue.done(key)
    clock.step(2)
    assert set(drain(queue)) >= wanted
    assert drain(queue) == []
