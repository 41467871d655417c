"""How fast the store is on this machine: `python tests/bench/store.py`, or `run()` for `scripts/bench`."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mini8s.store.base import Durability, Store
from mini8s.store.sqlite import open_store

VALUE = b"x" * 2_000
WRITES = 4_000
OBJECTS = 5_000


def run() -> dict[str, float]:
    """Figures by name; `_s` are seconds, `_rate` are a second."""
    figures: dict[str, float] = {}
    for writers in (1, 16, 64):
        figures[f"create_{writers}_writers_rate"] = in_a_store(partial(creates, writers=writers))
    figures["ephemeral_16_writers_rate"] = in_a_store(lambda store: creates(store, 16, Durability.EPHEMERAL))
    figures["list_5000_s"] = in_a_store(lists)
    figures["watch_deliveries_rate"] = in_a_store(deliveries)
    figures["open_5000_s"] = opening()
    return figures


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


if __name__ == "__main__":
    for name, figure in run().items():
        print(f"{name:28} {figure:12.4f}")
