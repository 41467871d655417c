"""What is SQLite's own: opening, refusing, the past on disk, compaction, snapshots, what is put off."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apsw
import pytest

from mini8s.store import recent
from mini8s.store.base import Change, Compacted, Corrupt, Durability, Locked, Sealer, Unavailable
from mini8s.store.sqlite import SqliteStore, compaction, open_store, rows, writer

CHILDREN = Path(__file__).with_name("store_children.py")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "db" / "state.db")


@pytest.fixture
def store(path: str) -> Iterator[SqliteStore]:
    opened = open_store(path)
    yield opened
    opened.close()


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recent log holds two changes: older ones come from the disk."""
    monkeypatch.setattr(
        recent.RecentLog.__init__, "__kwdefaults__", {"most_changes": 2, "most_bytes": 1 << 20}
    )


def value(revision: int) -> bytes:
    return b"value@%d" % revision


def create(store: SqliteStore, *keys: str, durability: Durability = Durability.LASTING) -> None:
    for key in keys:
        store.put(key, value, expected=0, durability=durability)


def reopened(store: SqliteStore, path: str) -> SqliteStore:
    store.close()
    return open_store(path)


def power_cut(path: str, tmp_path: Path) -> str:
    """A copy of the files as they are this moment: what a start after a power cut would find."""
    copy = tmp_path / f"cut-{len(list(tmp_path.iterdir()))}" / "state.db"
    copy.parent.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(path + suffix, f"{copy}{suffix}")
    return str(copy)


def rows_in_log(path: str) -> list[tuple[object, ...]]:
    db = apsw.Connection(path)
    try:
        return list(db.execute("select revision, key, deleted from log order by revision"))
    finally:
        db.close()


def test_a_second_server_is_refused_in_one_sentence(store: SqliteStore, path: str) -> None:
    with pytest.raises(
        Locked, match=rf"^{path} is in use by another mini8s server \(process {os.getpid()}\)$"
    ):
        open_store(path)
    assert store.revision == 1


def test_a_newer_file_is_refused_in_one_sentence(path: str) -> None:
    open_store(path).close()
    db = apsw.Connection(path)
    db.execute("pragma user_version=7")
    db.close()
    with pytest.raises(
        Corrupt, match=r"newer mini8s \(schema 7, this one knows up to 2\): install that version"
    ):
        open_store(path)
    with pytest.raises(Corrupt):  # and the lock was let go
        open_store(path)


def test_another_program_s_database_is_refused(path: str) -> None:
    Path(path).parent.mkdir()
    db = apsw.Connection(path)
    db.execute("create table mine (x)")
    db.close()
    before = Path(path).read_bytes()
    with pytest.raises(Corrupt, match="database of another program"):
        open_store(path)
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("damage", ["header", "middle"])
def test_a_damaged_file_is_refused(path: str, damage: str) -> None:
    store = open_store(path)
    create(store, *(f"/pods/a/{number:04}" for number in range(2000)))
    store.close()
    with Path(path).open("r+b") as file:
        file.seek(0 if damage == "header" else 8 * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(Corrupt, match="is damaged"):
        open_store(path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be opened"):
        open_store(str(tmp_path / "file" / "db" / "state.db"))


def test_only_the_owner_can_read_the_files(store: SqliteStore, path: str, tmp_path: Path) -> None:
    create(store, "/secrets/a/x")
    store.snapshot(str(tmp_path / "copy"))
    files = [*Path(path).parent.iterdir(), tmp_path / "copy"]
    assert {file.name: file.stat().st_mode & 0o077 for file in files} == {file.name: 0 for file in files}


def test_everything_is_there_after_a_restart(store: SqliteStore, path: str) -> None:
    create(store, "/pods/a/x", "/pods/a/y")
    create(store, "/leases/a/x", durability=Durability.EPHEMERAL)
    store.delete("/pods/a/y", value, expected=3)
    before = store.list("")
    store = reopened(store, path)
    assert store.list("") == before
    seen: list[Change] = []
    store.watch("/pods/", 2, seen.extend)
    create(store, "/pods/a/y")
    assert [(change.revision, change.previous) for change in seen] == [
        (3, None),
        (5, b"value@3"),
        (6, None),
    ]
    store.close()


@pytest.mark.usefixtures("short_memory")
def test_the_past_is_read_from_the_disk_when_memory_has_let_it_go(path: str) -> None:
    store = open_store(path)
    create(store, "/pods/a/x", "/pods/a/y", "/pods/b/z")
    store.put("/pods/a/x", value, expected=2)
    store.delete("/pods/a/y", value, expected=3)
    create(store, "/services/a/1", "/services/a/2", "/services/a/3")
    page = store.list("/pods/", revision=4, limit=2)
    assert [(row.key, row.revision) for row in page.rows] == [("/pods/a/x", 2), ("/pods/a/y", 3)]
    assert (page.next_key, page.remaining, page.revision) == ("/pods/b/z", 1, 4)
    assert [row.key for row in store.list("/pods/", revision=4, after="/pods/a/y").rows] == [
        "/pods/a/y",
        "/pods/b/z",
    ]
    assert store.get("/pods/a/y", revision=6) is None
    assert store.get("/pods/a/x", revision=4) == page.rows[0]
    seen: list[Change] = []
    store.watch("/", 1, seen.extend)
    assert [change.revision for change in seen] == list(range(2, 10))
    assert seen[3].previous == b"value@2"
    store.close()


def test_compaction_removes_rows_and_tombstones_in_slices(
    store: SqliteStore, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SLICE", 3)
    create(store, "/pods/a/x", "/pods/a/y", "/pods/a/z")
    for revision in range(2, 12):
        store.put("/pods/a/x", value, expected=revision if revision == 2 else revision + 2)
    store.delete("/pods/a/y", value, expected=3)
    create(store, "/pods/a/late")
    store.compact(15)
    assert rows_in_log(path) == [(4, "/pods/a/z", 0), (14, "/pods/a/x", 0), (16, "/pods/a/late", 0)]
    create(store, "/pods/a/y")
    store.delete("/pods/a/y", value, expected=17)
    create(store, "/pods/a/y")
    assert store.get("/pods/a/y")


def test_a_compaction_that_was_cut_short_goes_on_at_the_next_start(path: str, tmp_path: Path) -> None:
    store = open_store(path)
    create(store, "/pods/a/x")
    for revision in range(2, 9):
        store.put("/pods/a/x", value, expected=revision)
    store.close()
    db = apsw.Connection(path)
    db.execute("insert or replace into meta values ('compacted', 8), ('swept', 0)")
    db.close()
    store = open_store(path)
    assert store.compacted == 8
    store.compact(8)  # waits behind the one that the start began
    assert [row[0] for row in rows_in_log(path)] == [8, 9]
    store.close()


def test_old_history_is_compacted_by_itself(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SLACK", 10)
    store = open_store(path, compact_minutes=0, compact_revisions=20)
    create(store, *(f"/pods/a/{number}" for number in range(50)))
    eventually(lambda: 20 <= store.revision - store.compacted <= 30)
    store.close()


def test_retention_keeps_the_newest_and_the_young(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SLACK", 10)
    retention = compaction.Retention(seconds=160, revisions=100)
    assert retention.due(0, 1_000, 0) == 0  # too young, all of it
    assert retention.due(20, 2_000, 0) == 0
    assert retention.due(161, 2_050, 0) == 1_000
    assert retention.due(162, 2_050, 1_000) == 0  # nothing new
    assert retention.due(181, 2_050, 1_000) == 1_950  # the newest hundred stay


def test_a_snapshot_is_a_store_and_is_made_while_others_write(store: SqliteStore, tmp_path: Path) -> None:
    create(store, "/pods/a/x")
    create(store, "/leases/a/x", durability=Durability.EPHEMERAL)
    before = store.list("")
    store.snapshot(str(tmp_path / "copy"))
    create(store, "/pods/a/later")
    with_copy = open_store(str(tmp_path / "copy"))
    assert with_copy.list("").rows == before.rows
    assert with_copy.revision >= before.revision
    with_copy.close()
    assert not list(tmp_path.glob("*.partial"))


def test_a_snapshot_into_nowhere_is_one_sentence_and_leaves_nothing(
    store: SqliteStore, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="cannot be written"):
        store.snapshot(str(tmp_path / "no" / "folder"))
    assert not (tmp_path / "no").exists()


def test_ephemeral_changes_wait_for_their_time(path: str) -> None:
    store = open_store(path, ephemeral_flush_seconds=0.2)
    create(store, "/leases/a/x", durability=Durability.EPHEMERAL)
    for revision in range(2, 20):
        store.put("/leases/a/x", value, expected=revision, durability=Durability.EPHEMERAL)
    commits = store.stats()["commits"]
    assert rows_in_log(path) == []
    eventually(lambda: store.stats()["commits"] > commits)
    assert rows_in_log(path) == [(20, "/leases/a/x", 0)]  # the newest only
    assert (commits, store.stats()["commits"]) == (1, 2)  # the first one reserved the block
    store.close()


def test_nobody_sees_a_lasting_change_before_it_is_on_disk(
    store: SqliteStore, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = rows.insert

    def slow_insert(db: apsw.Connection, writes: Sequence[rows.Write], sealer: Sealer) -> None:
        time.sleep(0.05)
        insert(db, writes, sealer)

    monkeypatch.setattr(rows, "insert", slow_insert)
    on_disk: list[int] = []
    store.watch("/", 1, lambda _changes: on_disk.append(len(rows_in_log(path))))
    create(store, "/pods/a/x", "/pods/a/y")
    assert on_disk == [1, 2]


def test_a_lasting_write_supersedes_what_was_put_off(store: SqliteStore, path: str, tmp_path: Path) -> None:
    create(store, "/nodes/n")
    store.put("/nodes/n", value, expected=2, durability=Durability.EPHEMERAL)
    store.put("/nodes/n", value, expected=3)
    cut = open_store(power_cut(path, tmp_path))
    found = cut.get("/nodes/n")
    assert found
    assert (found.revision, found.created_revision) == (4, 2)
    cut.close()
    store.close()
    assert rows_in_log(path) == [(2, "/nodes/n", 0), (4, "/nodes/n", 0)]


def test_a_power_cut_takes_ephemeral_changes_but_no_revision_is_given_twice(
    store: SqliteStore, path: str, tmp_path: Path
) -> None:
    create(store, "/pods/a/x", "/nodes/n")
    store.put("/nodes/n", value, expected=3, durability=Durability.EPHEMERAL)
    create(store, "/leases/a/x", durability=Durability.EPHEMERAL)
    cut = open_store(power_cut(path, tmp_path))
    node = cut.get("/nodes/n")
    assert node
    assert (node.revision, cut.get("/leases/a/x")) == (3, None)
    assert cut.revision >= 5
    assert cut.put("/leases/a/x", value, expected=0, durability=Durability.EPHEMERAL).revision > 5
    for prefix in ("/leases/", "/leases/a/", "/nodes/", "/", ""):
        with pytest.raises(Compacted):
            cut.watch(prefix, 4, lambda _changes: None)
        with pytest.raises(Compacted):
            cut.list(prefix, revision=4)
    seen: list[Change] = []
    cut.watch("/pods/", 1, seen.extend)
    assert [change.revision for change in seen] == [2]
    cut.close()


def test_every_ephemeral_revision_is_below_the_ceiling_on_disk(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BLOCK", 10)
    store = open_store(path)
    create(store, "/leases/a/x", durability=Durability.EPHEMERAL)
    for revision in range(2, 60):
        store.put("/leases/a/x", value, expected=revision, durability=Durability.EPHEMERAL)
        if revision % 7 == 0:
            cut = open_store(power_cut(path, tmp_path))
            assert cut.revision > revision
            cut.close()
    store.close()


def test_a_clean_stop_skips_no_revision(store: SqliteStore, path: str) -> None:
    create(store, "/leases/a/x", durability=Durability.EPHEMERAL)
    create(store, "/pods/a/x")
    store = reopened(store, path)
    assert store.revision == 3
    store.close()


def test_only_a_crowd_is_waited_for(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[str] = []
    monkeypatch.setattr(writer.Writer, "_linger", lambda _: waits.append("waited"))
    create(store, *(f"/a/alone-{number}" for number in range(5)))
    assert waits == []
    gate = threading.Event()
    held = store._submit(lambda: not gate.wait(60))
    crowd = [threading.Thread(target=create, args=(store, f"/a/crowd-{number}")) for number in range(3)]
    for thread in crowd:
        thread.start()
    eventually(lambda: store.stats()["queued"] == 3)
    gate.set()
    held.outcome()
    for thread in crowd:
        thread.join()
    create(store, "/a/next")
    assert waits == ["waited"]
    create(store, "/a/alone-again")
    assert waits == ["waited"]


def test_the_write_ahead_log_stays_short_under_load(store: SqliteStore) -> None:
    for round_ in range(30):
        create(store, *(f"/pods/{round_}/{number}" for number in range(100)))
        store.put(f"/big/{round_}", lambda _: b"x" * 1_000_000, expected=0)
    assert store.stats()["wal_bytes"] < 24 << 20


@pytest.mark.parametrize("case", ["full_disk", "under_gevent"])
def test_in_a_process_of_its_own(case: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(CHILDREN), case, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ok\n"


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
