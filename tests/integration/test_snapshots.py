"""Snapshots of a real store: taken beside who writes, restored above all revisions, refused, repaired."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from mini8s.app import safety, sealing
from mini8s.app.api import rotate
from mini8s.app.host import HostError
from mini8s.app.layout import AgentFiles, ServerFiles, agent_files, server_files, write_private
from mini8s.app.sealing import Sealer
from mini8s.app.snapshots import archive, note, repair, restore, run, take
from mini8s.app.snapshots.base import BadSnapshot, NotTaken, SnapshotError
from mini8s.config import ServerSettings
from mini8s.objects.errors import Conflict
from mini8s.store.base import Compacted, Damaged
from mini8s.store.sqlite import offline, open_store
from mini8s.store.sqlite.schema import MIGRATIONS
from tests.integration.small_hosts import eventually

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def value(revision: int) -> bytes:
    return b"value@%d" % revision


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return replace(ServerSettings(), data_dir=str(tmp_path / "data"), node_name="h1")


@pytest.fixture
def files(settings: ServerSettings) -> ServerFiles:
    """A server's folder with three objects in it."""
    files = server_files(settings.data_dir)
    safety.prepare(settings, NOW)
    write_private(files.ca, b"the authority")
    write_private(files.ca_key, b"its key")
    write_private(files.manifests / "shop.yaml", b"kind: List\n")
    files.socket.touch()
    put(files, "/a/1", "/a/2", "/a/3")
    return files


@pytest.fixture
def agent(settings: ServerSettings) -> AgentFiles:
    return agent_files(settings.data_dir)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def put(files: ServerFiles, *keys: str) -> int:
    store = open_store(str(files.database))
    for key in keys:
        store.put(key, value, expected=0)
    revision = store.revision
    store.close()
    return revision


def keys(files: ServerFiles) -> list[str]:
    store = open_store(str(files.database))
    found = [row.key for row in store.list("/a/").rows]
    store.close()
    return found


def taken(files: ServerFiles, now: datetime = NOW, **wish: object) -> Path:
    asked = replace(take.Wish(files.snapshots, "h1"), **wish)  # type: ignore[arg-type]
    path = run.noted(files, asked, now).path
    assert path is not None
    return path


def test_one_is_taken_beside_a_server_that_writes(files: ServerFiles) -> None:
    store = open_store(str(files.database))
    store.put("/a/4", value, expected=0)
    path = taken(files)
    store.put("/a/5", value, expected=0)
    store.close()
    manifest = archive.verify(path)
    assert {one.name for one in manifest.members} == {
        *(
            "cluster-id",
            "db/state.db",
            "manifests/shop.yaml",
            "snapshot-practice.json",
            "tls/ca.crt",
            "tls/ca.key",
        ),
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(one.name for one in files.snapshots.iterdir()) == [".lock", path.name]
    assert note.last(files) == note.Last(NOW.timestamp(), NOW.timestamp(), path.stat().st_size, path.name)


def test_no_key_changes_while_one_is_taken(
    files: ServerFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = Sealer(files.secret_keys, ["/a/"])
    store = open_store(str(files.database), sealer=sealer)
    copied, refused = offline.copy, list[str]()

    def copy(source: str, target: str) -> None:
        """Somebody asks for a new key right after the database was copied."""
        copied(source, target)
        with pytest.raises(Conflict) as told:
            rotate(store, sealer, files.secret_keys)
        refused.append(str(told.value))

    monkeypatch.setattr(offline, "copy", copy)
    path = taken(files)
    assert refused == ["a snapshot is being taken: try again when it is done"]
    assert rotate(store, sealer, files.secret_keys) == 3
    store.close()
    (tmp_path / "out").mkdir()
    restore.unpack(path, tmp_path / "out", b"")
    out = ServerFiles(tmp_path / "out")
    again = open_store(str(out.database), sealer=Sealer(out.secret_keys, ["/a/"]))
    assert [row.key for row in again.list("/a/").rows] == ["/a/1", "/a/2", "/a/3"]
    again.close()


def test_a_snapshot_waits_for_keys_that_are_being_changed(files: ServerFiles) -> None:
    write_private(files.secret_keys, b"old")
    with ThreadPoolExecutor(1) as pool:
        with sealing.changing(files.secret_keys, wait=True):
            waiting = pool.submit(taken, files)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            write_private(files.secret_keys, b"new")
        waiting.result()
    with tarfile.open(waiting.result()) as tar:
        found = tar.extractfile("cred/encryption.json")
        assert found is not None
        assert found.read() == b"new"


def test_a_restored_store_goes_on_above_every_revision_that_was_given(
    files: ServerFiles, agent: AgentFiles
) -> None:
    path = taken(files)
    lost = put(files, "/a/4", "/a/5")
    done = restore.restore(files, agent, path, b"", NOW + timedelta(seconds=9))
    assert keys(files) == ["/a/1", "/a/2", "/a/3"]
    store = open_store(str(files.database))
    try:
        assert store.revision >= done.revision > lost + restore.STEP
        with pytest.raises(Compacted):  # who watched the lost store is told to list again
            store.watch("/a/", lost, lambda _: None)
        assert store.put("/a/6", value, expected=0).revision > done.revision
        again = store.revision
    finally:
        store.close()
    second = restore.restore(files, agent, path, b"", NOW + timedelta(seconds=99))
    assert second.revision > again


def test_what_was_there_is_set_aside_and_snapshots_stay(files: ServerFiles, agent: AgentFiles) -> None:
    first = taken(files)
    write_private(files.ca, b"changed since")
    done = restore.restore(files, agent, first, b"", NOW)
    assert done.set_aside is not None
    assert (done.set_aside / "tls" / "ca.crt").read_bytes() == b"changed since"
    assert files.ca.read_bytes() == b"the authority"
    assert first.exists()
    assert taken(files, NOW + timedelta(hours=1)).exists()


def test_on_a_fresh_host(files: ServerFiles, tmp_path: Path) -> None:
    path = taken(files)
    fresh = server_files(str(tmp_path / "fresh"))
    done = restore.restore(fresh, agent_files(str(tmp_path / "fresh")), path, b"", NOW)
    assert done.set_aside is None
    assert keys(fresh) == ["/a/1", "/a/2", "/a/3"]
    assert (fresh.manifests / "shop.yaml").exists()
    assert stat.S_IMODE(fresh.ca_key.stat().st_mode) == 0o600


def test_what_cant_be_restored_changes_nothing(files: ServerFiles, agent: AgentFiles, tmp_path: Path) -> None:
    path = taken(files)
    whole = path.read_bytes()
    short = tmp_path / "short.tar.gz"
    short.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadSnapshot, match="truncated"):
        restore.restore(files, agent, short, b"", NOW)
    write_private(files.cluster_id, b"another")
    with pytest.raises(BadSnapshot, match="is a snapshot of another cluster than the one in"):
        restore.restore(files, agent, path, b"", NOW)
    assert keys(files) == ["/a/1", "/a/2", "/a/3"]
    assert not files.root.with_name("server.restoring").exists()


def test_one_of_a_newer_schema_is_refused(
    files: ServerFiles, agent: AgentFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = taken(files)
    with monkeypatch.context() as older:
        older.setattr(offline, "SCHEMA", offline.SCHEMA - 1)
        with pytest.raises(BadSnapshot, match="was taken by a newer mini8s"):
            restore.restore(files, agent, path, b"", NOW)
    with apsw.Connection(str(files.database)) as db:
        db.execute(f"pragma user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(NotTaken, match="was written by a newer mini8s"):
        taken(files, NOW + timedelta(hours=1))


def test_a_full_disk_leaves_no_half_file(files: ServerFiles, small_disk: Path) -> None:
    write_private(files.manifests / "big.yaml", os.urandom(200_000))
    with pytest.raises(
        NotTaken, match=r"^no snapshot was taken: .*(No space left on device|full).*; nothing of"
    ):
        taken(files, folder=small_disk)
    assert [one.name for one in small_disk.iterdir()] == [".lock"]
    assert "no snapshot was taken" in note.last(files).error


def test_a_command_gets_it_and_then_it_is_gone(files: ServerFiles, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tar.gz"
    done = run.noted(files, take.Wish(files.snapshots, "h1", command=f"cat > {copy}"), NOW)
    assert done.path is None
    assert archive.verify(copy).revision == done.manifest.revision
    assert take.found(files.snapshots) == []
    wish = take.Wish(files.snapshots, "h1", why="scheduled", command="echo no way >&2; exit 3", count=2)
    for minutes in range(4):
        with pytest.raises(SnapshotError, match=r"failed with 3 \(no way\); the snapshot stays at"):
            run.noted(files, wish, NOW + timedelta(minutes=minutes))
    assert len(take.found(files.snapshots)) == 2


def test_a_command_that_hangs_is_ended_with_all_that_it_began(files: ServerFiles, tmp_path: Path) -> None:
    note_of = tmp_path / "pid"
    wish = take.Wish(files.snapshots, "h1", command=f"sleep 300 & echo $! > {note_of}; wait", seconds=2)
    with pytest.raises(SnapshotError, match=r"took longer than 2 s and was ended; the snapshot stays at"):
        run.noted(files, wish, NOW)
    assert len(take.found(files.snapshots)) == 1
    begun = Path("/proc", note_of.read_text().strip())
    eventually(lambda: not begun.exists() or ") Z " in (begun / "stat").read_text())


def test_none_is_in_another(files: ServerFiles) -> None:
    for hour in range(2):
        path = taken(files, NOW + timedelta(hours=hour), folder=files.root / "backups" / "of-the-shop")
    names = [one.name for one in archive.verify(path).members]
    assert [name for name in names if name.startswith("backups")] == []


def test_retention_and_what_a_killed_one_left(files: ServerFiles) -> None:
    (files.snapshots / ".taking-dead").mkdir(parents=True)
    kept = [taken(files, NOW + timedelta(hours=hour), why="scheduled", count=2) for hour in range(4)]
    assert [one.exists() for one in kept] == [False, False, True, True]
    assert not (files.snapshots / ".taking-dead").exists()


def damage(files: ServerFiles) -> None:
    with files.database.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(3 * 4096))


def test_a_broken_database_is_set_aside_and_a_good_snapshot_named(
    settings: ServerSettings, files: ServerFiles
) -> None:
    good = taken(files)
    bad = taken(files, NOW + timedelta(hours=1))
    bad.write_bytes(bad.read_bytes()[:-100])
    damage(files)
    with pytest.raises(Damaged) as found:
        open_store(str(files.database))
    with pytest.raises(HostError, match=rf"set aside as .*\.broken-.*snapshot restore {good}`"):
        safety.repaired(settings, files, found.value, NOW)
    assert not files.database.exists()
    left = files.database.with_name("state.db-wal")  # as a power cut in between leaves it
    left.touch()
    with pytest.raises(HostError, match="set aside as"):  # no start makes an empty cluster of it
        safety.prepare(settings, NOW)
    assert not left.exists()  # nor would SQLite apply it to what takes the place
    assert not files.database.exists()


def test_a_snapshot_takes_its_place_where_the_operator_said_so(
    settings: ServerSettings, files: ServerFiles, caplog: pytest.LogCaptureFixture
) -> None:
    taken(files)
    write_private(files.ca, b"renewed since")
    damage(files)
    with pytest.raises(Damaged) as found:
        open_store(str(files.database))
    safety.repaired(replace(settings, restore_broken=True), files, found.value, NOW)
    assert keys(files) == ["/a/1", "/a/2", "/a/3"]
    assert files.ca.read_bytes() == b"renewed since"
    assert "what was changed after 2026-06-01 12:00:00 UTC is lost" in caplog.text
    assert repair.broken(files) is None


def test_without_a_snapshot_it_says_so(settings: ServerSettings, files: ServerFiles) -> None:
    damage(files)
    with pytest.raises(HostError, match="there is no good snapshot in"):
        safety.repaired(settings, files, Damaged("torn"), NOW)


def test_a_newer_release_takes_one_before_it_changes_anything(
    settings: ServerSettings, files: ServerFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mini8s.app.safety.VERSION", "0.2.0")
    monkeypatch.setattr("mini8s.app.snapshots.note.VERSION", "0.2.0")
    safety.prepare(settings, NOW)
    safety.prepare(settings, NOW + timedelta(hours=1))
    assert [one.why for one in take.found(files.snapshots)] == ["upgrade"]


def test_no_migration_without_a_snapshot(
    settings: ServerSettings, files: ServerFiles, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(files.manifests / "big.yaml", os.urandom(200_000))
    monkeypatch.setattr(offline, "SCHEMA", offline.SCHEMA + 1)
    with pytest.raises(HostError, match=r"^the data folder is not upgraded without a snapshot: no snapshot"):
        safety.prepare(replace(settings, snapshot_dir=str(small_disk)), NOW)
    shutil.rmtree(files.manifests)
