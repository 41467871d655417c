"""What every store keeps to: the fake that others test with, and SQLite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from fakes.store import FakeStore

from mini8s.store.base import (
    Change,
    Compacted,
    Durability,
    FutureRevision,
    Mismatch,
    Row,
    Store,
    Unavailable,
)
from mini8s.store.sqlite import open_store

BOTH = pytest.mark.parametrize("durability", list(Durability), ids=lambda durability: durability.value)


@pytest.fixture(params=["fake", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = FakeStore() if request.param == "fake" else open_store(str(tmp_path / "db" / "state.db"))
    yield opened
    opened.close()


def says(text: str) -> Callable[[int], bytes]:
    """Values that carry their own revision, as objects do."""
    return lambda revision: f"{text}@{revision}".encode()


def create(store: Store, *names: str) -> list[Row]:
    return [store.put(name, says("new"), expected=0) for name in names]


def names(rows: Sequence[Row]) -> list[str]:
    return [row.key for row in rows]


def test_an_empty_store_is_at_revision_one(store: Store) -> None:
    assert store.revision == 1
    assert store.get("/pods/a/x") is None
    assert store.list("/pods/").rows == ()


@BOTH
def test_a_key_is_created_updated_and_deleted(store: Store, durability: Durability) -> None:
    first = store.put("/pods/a/x", says("one"), expected=0, durability=durability)
    assert first == Row("/pods/a/x", b"one@2", 2, 2) == store.get("/pods/a/x")
    second = store.put("/pods/a/x", says("two"), expected=2, durability=durability)
    assert second == Row("/pods/a/x", b"two@3", 3, 2) == store.get("/pods/a/x")
    last = store.delete("/pods/a/x", says("gone"), expected=3, durability=durability)
    assert last == Row("/pods/a/x", b"gone@4", 4, 2)
    assert store.get("/pods/a/x") is None
    assert store.revision == 4
    again = store.put("/pods/a/x", says("three"), expected=0, durability=durability)
    assert again == Row("/pods/a/x", b"three@5", 5, 5)


def test_compare_and_swap_tells_the_loser_what_is_there(store: Store) -> None:
    (row,) = create(store, "/pods/a/x")
    for expected in (0, row.revision - 1, row.revision + 1):
        with pytest.raises(Mismatch) as caught:
            store.put("/pods/a/x", says("lost"), expected=expected)
        assert caught.value.current == row
    with pytest.raises(Mismatch):
        store.delete("/pods/a/x", says("lost"), expected=row.revision - 1)
    assert store.revision == row.revision


@pytest.mark.parametrize("expected", [0, 7])
def test_what_does_not_exist_cannot_be_deleted(store: Store, expected: int) -> None:
    with pytest.raises(Mismatch) as caught:
        store.delete("/pods/a/x", says("gone"), expected=expected)
    assert caught.value.current is None


def test_an_encode_that_raises_changes_nothing(store: Store) -> None:
    def broken(_revision: int) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put("/pods/a/x", broken, expected=0)
    assert create(store, "/pods/a/x")[0].revision == 2


def test_a_list_has_its_prefix_in_order_of_key(store: Store) -> None:
    create(store, "/pods/b/1", "/pods/a/2", "/podsx/a/1", "/pod", "/pods/a/1", "/services/a/1")
    assert names(store.list("/pods/").rows) == ["/pods/a/1", "/pods/a/2", "/pods/b/1"]
    assert names(store.list("/pods/a/").rows) == ["/pods/a/1", "/pods/a/2"]
    assert len(store.list("").rows) == 6


def test_pages_show_the_state_of_the_first_one(store: Store) -> None:
    create(store, *(f"/pods/a/{number}" for number in range(5)))
    first = store.list("/pods/", limit=2)
    assert names(first.rows) == ["/pods/a/0", "/pods/a/1"]
    assert (first.next_key, first.remaining) == ("/pods/a/2", 3)
    store.delete("/pods/a/2", says("gone"), expected=4)
    store.put("/pods/a/3", says("changed"), expected=5)
    create(store, "/pods/a/31")
    second = store.list("/pods/", after=first.next_key, limit=2, revision=first.revision)
    assert [row.value for row in second.rows] == [b"new@4", b"new@5"]
    assert second.revision == first.revision
    third = store.list("/pods/", after=second.next_key, limit=2, revision=first.revision)
    assert (names(third.rows), third.next_key, third.remaining) == (["/pods/a/4"], "", 0)


def test_a_row_can_be_read_as_it_was(store: Store) -> None:
    create(store, "/pods/a/x")
    store.put("/pods/a/x", says("changed"), expected=2)
    store.delete("/pods/a/x", says("gone"), expected=3)
    was = [store.get("/pods/a/x", revision=revision) for revision in (1, 2, 3, 4)]
    assert was == [None, Row("/pods/a/x", b"new@2", 2, 2), Row("/pods/a/x", b"changed@3", 3, 2), None]


def test_the_future_cannot_be_read(store: Store) -> None:
    with pytest.raises(FutureRevision) as caught:
        store.list("/pods/", revision=2)
    assert caught.value.newest == 1
    with pytest.raises(FutureRevision):
        store.get("/pods/a/x", revision=2)
    with pytest.raises(FutureRevision):
        store.watch("/pods/", 2, lambda _changes: None)
    with pytest.raises(FutureRevision):
        store.compact(2)


@BOTH
def test_a_watch_has_what_was_and_what_comes(store: Store, durability: Durability) -> None:
    seen: list[Change] = []
    store.put("/pods/a/x", says("one"), expected=0, durability=durability)
    store.put("/pods/a/x", says("two"), expected=2, durability=durability)
    store.watch("/pods/a/", 2, seen.extend)
    create(store, "/services/a/x")
    store.delete("/pods/a/x", says("gone"), expected=3, durability=durability)
    store.put("/pods/a/x", says("three"), expected=0, durability=durability)
    assert seen == [
        Change(3, "/pods/a/x", b"two@3", b"one@2", False),
        Change(5, "/pods/a/x", b"gone@5", b"two@3", True),
        Change(6, "/pods/a/x", b"three@6", None, False),
    ]


def test_a_closed_watch_is_silent_and_the_others_are_not(store: Store) -> None:
    first: list[Change] = []
    second: list[Change] = []
    watch = store.watch("/pods/", 1, first.extend)
    store.watch("/pods/", 1, second.extend)
    create(store, "/pods/a/x")
    watch.close()
    watch.close()
    create(store, "/pods/a/y")
    assert (len(first), len(second)) == (1, 2)


def test_a_watch_that_fails_is_closed_alone(store: Store) -> None:
    seen: list[Change] = []

    def fail(_changes: Sequence[Change]) -> None:
        calls.append(1)
        raise ZeroDivisionError

    calls: list[int] = []
    store.watch("/pods/", 1, fail)
    store.watch("/pods/", 1, seen.extend)
    create(store, "/pods/a/x", "/pods/a/y")
    assert (len(calls), len(seen)) == (1, 2)


def test_watching_from_inside_a_deliver_misses_and_repeats_nothing(store: Store) -> None:
    inner: list[int] = []

    def deliver(changes: Sequence[Change]) -> None:
        if not started:
            started.append(store.watch("/", 1, lambda more: inner.extend(c.revision for c in more)))

    started: list[object] = []
    store.watch("/pods/", 1, deliver)
    create(store, "/a/1", "/pods/a/x", "/pods/a/y")
    assert inner == [2, 3, 4]


def test_compaction_forgets_the_past_and_nothing_else(store: Store) -> None:
    create(store, "/pods/a/x", "/pods/a/y", "/pods/a/z")
    store.put("/pods/a/x", says("changed"), expected=2)
    store.delete("/pods/a/y", says("gone"), expected=3)
    before = store.list("/pods/")
    store.compact(6)
    assert store.compacted == 6
    assert store.list("/pods/") == before == store.list("/pods/", revision=6)
    store.watch("/pods/", 6, lambda _changes: None)
    for read in (
        lambda: store.list("/pods/", revision=5),
        lambda: store.get("/pods/a/x", revision=5),
        lambda: store.watch("/pods/", 5, lambda _changes: None),
    ):
        with pytest.raises(Compacted) as caught:
            read()
        assert caught.value.oldest == 6
    assert create(store, "/pods/a/y")[0].revision == 7


def test_compacting_less_than_before_is_nothing(store: Store) -> None:
    create(store, "/pods/a/x", "/pods/a/y")
    store.compact(3)
    store.compact(2)
    assert store.compacted == 3


def test_a_snapshot_does_not_overwrite(store: Store, tmp_path: Path) -> None:
    create(store, "/pods/a/x")
    store.snapshot(str(tmp_path / "copy"))
    assert (tmp_path / "copy").stat().st_size > 0
    with pytest.raises(Unavailable):
        store.snapshot(str(tmp_path / "copy"))


def test_figures_for_metrics(store: Store) -> None:
    create(store, "/pods/a/x", "/pods/a/y")
    figures = store.stats()
    promised = "keys revision compacted watches file_bytes wal_bytes commits written_bytes queued"
    assert set(promised.split()) == set(figures)
    assert (figures["keys"], figures["revision"], figures["queued"]) == (2, 3, 0)


def test_a_closed_store_takes_nothing(store: Store) -> None:
    store.close()
    with pytest.raises(Unavailable):
        create(store, "/pods/a/x")


def test_of_many_creators_one_wins(store: Store) -> None:
    won: list[Row] = []

    def race() -> None:
        try:
            won.append(store.put("/pods/a/x", says("mine"), expected=0))
        except Mismatch as mismatch:
            lost.append(mismatch.current)

    lost: list[Row | None] = []
    in_parallel(16, race)
    assert len(won) == 1
    assert lost == won * 15


def test_a_counter_under_compare_and_swap_counts(store: Store) -> None:
    store.put("/counters/c", lambda _revision: b"0", expected=0)
    revisions: list[int] = []
    store.watch("/counters/", 2, lambda changes: revisions.extend(change.revision for change in changes))

    def count() -> None:
        done = 0
        while done < 25:
            row = store.get("/counters/c")
            assert row
            try:
                store.put(
                    "/counters/c", lambda _, row=row: b"%d" % (int(row.value) + 1), expected=row.revision
                )
                done += 1
            except Mismatch:
                continue

    in_parallel(8, count)
    counted = store.get("/counters/c")
    assert counted
    assert counted.value == b"200"
    assert revisions == list(range(3, 203))


def in_parallel(number: int, run: Callable[[], None]) -> None:
    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
