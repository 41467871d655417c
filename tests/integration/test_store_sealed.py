"""A store that seals: none of its files shows a sealed value, and it is all there after every start."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini8s.app.sealing import Sealer
from mini8s.store.base import Row, Unreadable
from mini8s.store.sqlite import SqliteStore, open_store
from mini8s.store.sqlite.file import open_checked
from mini8s.store.sqlite.resealing import Resealing

SECRET, OTHER = "/secrets/default/a", "/configmaps/default/a"
WORD = b"sesame-open"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def opened(folder: Path, *, sealed: bool = True, keys: str = "keys.json") -> SqliteStore:
    sealer = Sealer(folder / keys, ["/secrets/"]) if sealed else None
    return open_store(str(folder / "db" / "state.db"), sealer=sealer)


@pytest.fixture
def store(folder: Path) -> Iterator[SqliteStore]:
    made = opened(folder)
    yield made
    made.close()


def put(store: SqliteStore, key: str, word: bytes) -> Row:
    row = store.get(key)
    return store.put(key, lambda _: b'{"v":"' + word + b'"}', expected=row.revision if row else 0)


def found(store: SqliteStore, key: str, revision: int = 0) -> bytes:
    row = store.get(key, revision=revision)
    assert row is not None
    return row.value


def traces(folder: Path, word: bytes = WORD) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


def test_no_file_shows_it_and_everybody_reads_it(folder: Path, store: SqliteStore) -> None:
    first = put(store, SECRET, WORD + b"-1").revision
    put(store, SECRET, WORD + b"-2")
    put(store, OTHER, b"plain-word")
    store.snapshot(str(folder / "snapshot.db"))
    assert traces(folder) == []
    assert traces(folder, b"plain-word")
    seen: list[bytes] = []
    store.watch("/secrets/", 1, lambda changes: seen.extend(change.value for change in changes))
    assert [WORD in value for value in seen] == [True, True]
    store.close()
    again = opened(folder)
    assert found(again, SECRET) == b'{"v":"sesame-open-2"}'
    assert found(again, SECRET, first) == b'{"v":"sesame-open-1"}'  # from the disk
    before: list[bytes | None] = []
    again.watch("/secrets/", first, lambda changes: before.extend(change.previous for change in changes))
    assert before == [b'{"v":"sesame-open-1"}']
    again.close()
    assert traces(folder) == []


def test_what_an_older_mini8s_left_plain_is_sealed_at_the_next_start(folder: Path) -> None:
    plain = opened(folder, sealed=False)
    for number in range(300):
        put(plain, SECRET, WORD + b"%d" % number)
    plain.delete(SECRET, lambda _: b"{}" + WORD, expected=plain.revision)
    put(plain, f"{SECRET}b", WORD)
    plain.close()
    assert traces(folder)
    sealed = opened(folder)
    assert traces(folder) == []
    assert WORD in found(sealed, f"{SECRET}b")
    sealed.close()
    assert traces(folder) == []


def test_a_start_that_is_killed_before_the_file_is_written_anew_leaves_that_to_the_next(folder: Path) -> None:
    plain = opened(folder, sealed=False)
    for number in range(300):
        put(plain, f"{SECRET}{number}", WORD * 20)
    plain.close()
    sealer = Sealer(folder / "keys.json", ["/secrets/"])
    sealer.ready()
    db = open_checked(str(folder / "db" / "state.db"))
    work = Resealing(sealer)
    while work.step(db):
        pass
    db.close()
    assert work.done == 300
    assert traces(folder)  # in what the rows no longer use
    opened(folder).close()
    assert traces(folder) == []


def test_a_key_that_is_not_there_is_told_and_nothing_is_touched(folder: Path, store: SqliteStore) -> None:
    put(store, SECRET, WORD)
    store.close()
    before = (folder / "db" / "state.db").read_bytes()
    with pytest.raises(Unreadable, match=r"not in .*other\.json: put that file back"):
        opened(folder, keys="other.json")
    assert not (folder / "other.json").exists()
    assert (folder / "db" / "state.db").read_bytes() == before
    again = opened(folder)
    assert WORD in found(again, SECRET)
    again.close()


def test_a_key_is_changed_while_others_write_and_the_old_one_is_of_no_use_then(folder: Path) -> None:
    sealer = Sealer(folder / "keys.json", ["/secrets/"])
    store = open_store(str(folder / "db" / "state.db"), sealer=sealer)
    for number in range(450):
        put(store, f"{SECRET}{number % 9}", WORD + b"%d" % number)
    shutil.copy(folder / "keys.json", folder / "old.json")
    revision = store.revision
    sealer.renew()
    assert store.reseal() == 450
    assert store.revision == revision
    put(store, SECRET, WORD)
    store.close()
    with pytest.raises(Unreadable):
        opened(folder, keys="old.json")
    again = opened(folder)
    assert [WORD in row.value for row in again.list("/secrets/").rows] == [True] * 10
    again.close()


def test_a_change_of_keys_that_was_cut_off_is_finished_by_a_start(folder: Path) -> None:
    sealer = Sealer(folder / "keys.json", ["/secrets/"])
    store = open_store(str(folder / "db" / "state.db"), sealer=sealer)
    put(store, SECRET, WORD)
    sealer.renew()
    store.close()
    opened(folder).close()
    assert (folder / "keys.json").read_text().count('"id"') == 1
    again = opened(folder)
    assert WORD in found(again, SECRET)
    again.close()
