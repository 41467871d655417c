"""Who is tried when: order, back-off, and what wakes a pod that fitted nowhere."""

from __future__ import annotations

from dataclasses import replace

from mini8s.scheduler.base import PodFacts, Resources
from mini8s.scheduler.queue import ANY, UNSCHEDULABLE_SECONDS, Change, Queue


def pod(name: str, priority: int = 0) -> PodFacts:
    return PodFacts("default", name, f"uid-{name}", Resources(pods=1), priority=priority)


def names(queue: Queue, now: float) -> list[str]:
    return [item.name for item in queue.due(now, 100)]


def test_higher_priority_first_then_who_came_first() -> None:
    queue = Queue()
    for item in (pod("a"), pod("b", priority=5), pod("c"), pod("d", priority=5)):
        queue.add(item)
    assert names(queue, 0.0) == ["b", "d", "a", "c"]


def test_a_failed_try_waits_for_its_backoff_which_grows() -> None:
    queue = Queue()
    queue.add(pod("a"))
    for start, wait in ((0.0, 1.0), (10.0, 2.0), (20.0, 4.0), (30.0, 8.0), (50.0, 10.0), (70.0, 10.0)):
        queue.failed("default/a", start)
        assert names(queue, start + wait - 0.01) == []
        assert names(queue, start + wait) == ["a"]


def test_what_fits_nowhere_waits_for_a_change_but_not_for_ever() -> None:
    queue = Queue()
    queue.add(pod("a"))
    queue.failed("default/a", 0.0, cures=ANY)
    assert names(queue, UNSCHEDULABLE_SECONDS - 1) == []
    assert names(queue, UNSCHEDULABLE_SECONDS) == ["a"]


def test_a_change_wakes_it_once_its_backoff_is_over() -> None:
    queue = Queue()
    queue.add(pod("a"))
    queue.failed("default/a", 0.0, cures=ANY)
    queue.changed(Change.NODE)
    assert names(queue, 0.5) == []
    assert names(queue, 1.0) == ["a"]


def test_a_pod_that_changed_is_tried_at_once_and_one_that_did_not_is_not() -> None:
    queue = Queue()
    queue.add(pod("a"))
    queue.failed("default/a", 0.0, cures=ANY)
    queue.add(pod("a"))
    assert names(queue, 0.0) == []
    queue.add(replace(pod("a"), node_selector={"x": "y"}))
    assert names(queue, 0.0) == ["a"]


def test_a_new_pod_of_the_same_name_starts_afresh() -> None:
    queue = Queue()
    queue.add(pod("a"))
    queue.failed("default/a", 0.0, cures=ANY)
    queue.add(replace(pod("a"), uid="other"))
    assert names(queue, 0.0) == ["a"]


def test_a_forgotten_pod_is_not_tried() -> None:
    queue = Queue()
    queue.add(pod("a"))
    queue.forget("default/a")
    queue.failed("default/a", 0.0)
    assert (names(queue, 0.0), len(queue)) == ([], 0)


def test_a_change_while_it_was_tried_counts() -> None:
    queue = Queue()
    queue.add(pod("a"))
    assert names(queue, 0.0) == ["a"]
    queue.changed(Change.NODE)  # the picture was made before
    queue.failed("default/a", 0.0, cures=ANY)
    assert names(queue, 1.0) == ["a"]
    queue.failed("default/a", 1.0, cures=ANY)
    assert names(queue, UNSCHEDULABLE_SECONDS) == []


def test_a_change_that_cannot_help_wakes_nobody() -> None:
    queue = Queue()
    queue.add(pod("a"))
    queue.failed("default/a", 0.0, cures=Change.NODE)
    queue.changed(Change.ROOM | Change.OTHERS)
    assert names(queue, 20.0) == []
    queue.changed(Change.NODE)
    assert names(queue, 20.0) == ["a"]


def test_where_room_is_being_made_is_no_reason_to_try_again() -> None:
    queue = Queue()
    queue.add(pod("a"))
    queue.failed("default/a", 0.0, cures=ANY)
    queue.add(replace(pod("a"), nominated="n"))
    assert names(queue, 0.0) == []


def test_a_cycle_takes_so_many_and_the_most_important() -> None:
    queue = Queue()
    for item in (pod("a"), pod("b"), pod("c", priority=5)):
        queue.add(item)
    assert [item.name for item in queue.due(0.0, 2)] == ["c", "a"]


def test_who_was_stirred_does_not_sleep() -> None:
    queue = Queue()
    queue.stir()
    queue.wait(0.0, 3600.0)  # would last an hour
