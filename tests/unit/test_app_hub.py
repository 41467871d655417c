from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import gevent
import pytest

from mini8s.app.hub import GeventLoop


@pytest.fixture
def loop() -> Iterator[GeventLoop]:
    made = GeventLoop()
    yield made
    made.close()


def run_until(done: Callable[[], object]) -> None:
    with gevent.Timeout(60):
        while not done():
            gevent.sleep(0.001)


def test_callbacks_come_in_order_on_the_loops_thread(loop: GeventLoop) -> None:
    seen: list[tuple[int, int]] = []

    def native() -> None:
        for number in range(1000):
            loop.call_soon(lambda n=number: seen.append((n, threading.get_ident())))  # type: ignore[misc]

    loop.start_thread(native, "native")
    run_until(lambda: len(seen) == 1000)
    assert seen == [(number, threading.get_ident()) for number in range(1000)]


def test_a_ticket_blocks_its_greenlet_only(loop: GeventLoop) -> None:
    ticket, order = loop.ticket(), []

    def writer() -> None:
        ticket.wait()
        order.append("written")

    waiting = gevent.spawn(writer)
    gevent.sleep(0)
    order.append("others ran")
    loop.start_thread(lambda: loop.call_soon(ticket.done), "native")
    waiting.join(60)
    assert order == ["others ran", "written"]


def test_a_callback_that_fails_is_logged_and_the_next_runs(
    loop: GeventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    loop.call_soon(lambda: seen.append(str(1 // 0)))
    loop.call_soon(lambda: seen.append("next"))
    with caplog.at_level(logging.ERROR):
        run_until(lambda: seen)
    assert seen == ["next"]
    assert "ZeroDivisionError" in caplog.text


def test_callbacks_that_add_callbacks_do_not_starve_the_loop(loop: GeventLoop) -> None:
    count = 0

    def again() -> None:
        nonlocal count
        count += 1
        loop.call_soon(again)

    loop.call_soon(again)
    with gevent.Timeout(60):
        gevent.sleep(0.05)  # comes back although there is always something due
    assert count > 1
