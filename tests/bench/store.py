"""How fast the store is on this machine, by itself: `scripts/bench store`."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.figure import Figure, middle
from mini8s.store.base import Durability, Store
from mini8s.store.sqlite import open_store

VALUE = b"x" * 2_000
WRITES = 4_000
OBJECTS = 5_000
ROUNDS = 3


def run() -> Iterator[Figure]:
    for writers in (1, 16, 64):
        rates = repeated(lambda: in_a_store(partial(creates, writers=writers)))  # noqa: B023  called at once
        yield middle(f"create, {writers} at a time", rates, "1/s")
    ephemeral = repeated(lambda: in_a_store(lambda store: creates(store, 16, Durability.EPHEMERAL)))
    yield middle("create ephemeral, 16 at a time", ephemeral, "1/s")
    yield middle(f"list of {OBJECTS}", [1000 * one for one in repeated(lambda: in_a_store(lists))], "ms")
    yield middle("deliveries to 100 watches", repeated(lambda: in_a_store(deliveries)), "1/s")
    yield middle(f"open with {OBJECTS} objects", [1000 * one for one in repeated(opening)], "ms")


def repeated(measure: Callable[[], float]) -> list[float]:
    return [measure() for _ in range(ROUNDS)]


def in_a_store(measure: Callable[[Store], float]) -> float:
    with tempfile.TemporaryDirectory(prefix="store-bench-") as folder:
        store = open_store(str(Path(folder) / "state.db"))
        try:
            return measure(store)
        finally:
            store.close()


def creates(store: Store, writers: int, durability: Durability = Durability.LASTING) -> float:
    each = WRITES // writers

    def write(writer: int) -> None:
        for number in range(each):
            store.put(f"/pods/{writer}/{number}", lambda _: VALUE, expected=0, durability=durability)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * writers / (time.perf_counter() - start)


def lists(store: Store) -> float:
    fill(store)
    start = time.perf_counter()
    for _ in range(20):
        assert len(store.list("/pods/").rows) == OBJECTS
    return (time.perf_counter() - start) / 20


def deliveries(store: Store) -> float:
    """100 watches of everything while 16 writers create."""
    seen = [0] * 100
    for watcher in range(len(seen)):

        def deliver(changes: object, watcher: int = watcher) -> None:
            seen[watcher] += len(changes)  # type: ignore[arg-type]

        store.watch("/pods/", store.revision, deliver)
    return creates(store, 16) * sum(seen) / WRITES


def opening() -> float:
    with tempfile.TemporaryDirectory(prefix="store-bench-") as folder:
        path = str(Path(folder) / "state.db")
        store = open_store(path)
        fill(store)
        store.close()
        start = time.perf_counter()
        store = open_store(path)
        seconds = time.perf_counter() - start
        store.close()
        return seconds


def fill(store: Store) -> None:
    def write(writer: int) -> None:
        for number in range(OBJECTS // 50):
            store.put(f"/pods/{writer}/{number}", lambda _: VALUE, expected=0)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
