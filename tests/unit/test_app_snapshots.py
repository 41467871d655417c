"""Snapshots: the file and what is wrong with one, which are kept, when one is due."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mini8s.app.snapshots import archive, keep, note, schedule
from mini8s.app.snapshots.base import (
    FORMAT,
    BadSnapshot,
    Manifest,
    Named,
    SnapshotError,
    file_name,
    parse_name,
)
from mini8s.app.snapshots.seal import PIECE
from mini8s.objects import cron
from mini8s.objects.kinds import Obj
from mini8s.util.clock import FakeClock

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
FILES = {"node-token": b"secret", "tls/ca.key": b"key" * 500, "manifests/shop.yaml": b"kind: List\n"}


def written(folder: Path, files: dict[str, bytes] = FILES, secret: bytes = b"") -> Path:
    sources = {}
    for number, (name, data) in enumerate(files.items()):
        sources[name] = folder / f"source-{number}"
        sources[name].write_bytes(data)
        sources[name].chmod(0o640)
    members = tuple(archive.member(name, path) for name, path in sources.items())
    manifest = Manifest("0.1.0", 1, NOW, "h1", 42, "an-id", members)
    path = folder / file_name("on-demand", "h1", NOW, sealed=bool(secret))
    archive.write(path, manifest, sources, secret)
    return path


def repacked(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with tarfile.open(path) as tar:
        members = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    change(members)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def says(packed: dict[str, bytes], **said: object) -> None:
    packed["manifest.json"] = json.dumps(json.loads(packed["manifest.json"]) | said).encode()


@pytest.mark.parametrize("secret", [b"", b"a passphrase"])
def test_what_goes_in_comes_out(tmp_path: Path, secret: bytes) -> None:
    path = written(tmp_path, FILES | {"db/state.db": bytes(range(256)) * 12_000}, secret)
    folder = tmp_path / "out"
    folder.mkdir()
    manifest = archive.extract(path, folder, secret)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert (folder / "db/state.db").stat().st_size > 2 * PIECE
    assert (folder / "node-token").stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mode & 0o777 == 0o600
    assert manifest == archive.read_manifest(path, secret)
    assert (manifest.revision, manifest.cluster, manifest.node) == (42, "an-id", "h1")


@pytest.mark.parametrize("secret", [b"", b"a passphrase"])
def test_one_that_was_cut_off_anywhere_is_refused(tmp_path: Path, secret: bytes) -> None:
    path = written(tmp_path, secret=secret)
    whole = path.read_bytes()
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(
            BadSnapshot, match=f"^{path} is (not a snapshot|truncated|empty|under another|encrypted)"
        ):
            archive.verify(path, secret)
    path.write_bytes(whole[:-1])
    with pytest.raises(BadSnapshot):
        archive.verify(path, secret)


def test_pieces_of_an_encrypted_one_can_be_neither_cut_off_nor_changed(tmp_path: Path) -> None:
    noise = os.urandom(2 * PIECE)  # does not get smaller when packed
    path = written(tmp_path, {"db/state.db": noise}, b"right")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 500])
    with pytest.raises(BadSnapshot, match="is truncated or damaged"):
        archive.verify(path, b"right")
    path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    with pytest.raises(BadSnapshot, match="is under another passphrase, or damaged"):
        archive.verify(path, b"right")
    path.write_bytes(whole)
    with pytest.raises(BadSnapshot, match="is under another passphrase, or damaged"):
        archive.verify(path, b"wrong")
    with pytest.raises(BadSnapshot, match=r"is encrypted: give the file with its passphrase"):
        archive.verify(path)
    assert b"state.db" not in whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.pop("node-token"), "is damaged: node-token is missing"),
        (lambda one: one.update({"node-token": b"sEcret"}), "node-token has another hash than its manifest"),
        (
            lambda one: one.update({"node-token": b"longer than it was"}),
            "node-token is not what its manifest",
        ),
        (lambda one: one.update({"more": b""}), "more is not what its manifest says"),
        (lambda one: one.pop("manifest.json"), "is not a snapshot of mini8s"),
        (lambda one: one.update({"manifest.json": b"[]"}), "is not a snapshot of mini8s"),
        (lambda one: one.update({"manifest.json": b"{"}), "is not a snapshot of mini8s"),
        (
            lambda one: says(one, format=FORMAT + 1, mini8s="9.9"),
            rf"is of a newer format \({FORMAT + 1}, this mini8s knows up to {FORMAT}\).* 9.9 or newer",
        ),
        (
            lambda one: says(
                one, members={"../../etc/passwd": {"sha256": "0" * 64, "size": 1, "mode": "600"}}
            ),
            "is not a snapshot of mini8s",
        ),
        (lambda one: says(one, revision="many"), "is not a snapshot of mini8s"),
    ],
)
def test_one_that_is_not_what_it_says_is_refused(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None], said: str
) -> None:
    path = repacked(written(tmp_path), change)
    with pytest.raises(BadSnapshot, match=said):
        archive.verify(path)


@pytest.mark.parametrize("content", [b"", b"SQLite format 3", gzip.compress(b"no tar"), gzip.compress(b"")])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BadSnapshot, match=f"^{path} is "):
        archive.verify(path)
    with pytest.raises(BadSnapshot, match=r"gone can't be read: No such file"):
        archive.verify(tmp_path / "gone")


def test_names_say_why_and_when() -> None:
    for why in ("on-demand", "scheduled", "before-the-sale"):
        name = file_name(why, "pi-4.shop", NOW, sealed=False)
        found = parse_name(name)
        assert found is not None
        assert found.when == NOW
    assert parse_name(file_name("scheduled", "h1", NOW, sealed=True)) == Named(
        "scheduled-h1-20260601T120000Z.tar.gz.sealed", "scheduled", NOW
    )
    for other in ("scheduled-h1-20260601T120000Z", "notes.txt", "x.tar.gz", ".lock"):
        assert parse_name(other) is None


def named(why: str, *days_ago: int) -> list[Named]:
    return [Named(f"{why}-{ago}", why, NOW - timedelta(days=ago)) for ago in days_ago]


@pytest.mark.parametrize(
    ("found", "count", "days", "gone"),
    [
        (named("scheduled", 1, 2, 3, 4), 2, 0, ["scheduled-3", "scheduled-4"]),
        (named("scheduled", 1, 2, 3), 5, 2, ["scheduled-3"]),
        (named("scheduled", 8, 9), 5, 2, ["scheduled-9"]),  # the newest one of all stays
        (named("scheduled", 1, 2) + named("upgrade", 3, 4), 1, 0, ["scheduled-2", "upgrade-4"]),
        (named("on-demand", 1, 2, 90), 1, 2, []),
        ([], 5, 5, []),
    ],
)
def test_which_are_kept(found: list[Named], count: int, days: int, gone: list[str]) -> None:
    outdated = keep.outdated(found, count=count, days=days, now=NOW)
    assert [one.name for one in outdated] == gone
    left = [one for one in found if one not in outdated]
    assert keep.outdated(left, count=count, days=days, now=NOW) == []


EVERY_TWELVE = cron.parse("0 */12 * * *")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (note.Last(), NOW + timedelta(hours=12)),  # a new cluster waits for its first turn
        (note.Last(tried=(NOW - timedelta(hours=13)).timestamp()), NOW - timedelta(hours=12)),  # missed: now
        (note.Last(tried=(NOW - timedelta(hours=30)).timestamp()), NOW - timedelta(hours=24)),
        (note.Last(tried=NOW.timestamp()), NOW + timedelta(hours=12)),
        (note.Last(tried=NOW.timestamp(), error="full"), NOW + timedelta(minutes=10)),
        (
            note.Last(tried=(NOW + timedelta(days=900)).timestamp()),
            NOW + timedelta(hours=12),
        ),  # a wrong clock
    ],
)
def test_when_the_next_is_due(last: note.Last, expected: datetime) -> None:
    started = NOW + timedelta(seconds=1)
    assert schedule.due(EVERY_TWELVE, last, started, started, UTC) == expected


def test_a_failure_that_cant_be_noted_is_not_tried_again_at_once() -> None:
    clock, tries = FakeClock(NOW), []

    def take() -> str:
        tries.append(clock.now())
        raise SnapshotError("the disk can't be written")

    missed = note.Last(tried=(NOW - timedelta(days=1)).timestamp())
    snapshots = schedule.Snapshots(
        EVERY_TWELVE, take=take, last=lambda: missed, events=Told(), node="h1", clock=clock, zone=UTC
    )
    while clock.now() < NOW + timedelta(minutes=25):
        clock.step(snapshots.step())
    assert tries == [NOW, NOW + schedule.AGAIN, NOW + 2 * schedule.AGAIN]


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def event(
        self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "", component: str = ""
    ) -> None:
        del obj, field_path, component
        self.events.append((type, reason, message))


def test_a_round_takes_what_is_due_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told, taken = FakeClock(NOW), Told(), []
    last, full = [note.Last()], [""]

    def take() -> str:
        last[0] = note.Last(tried=clock.now().timestamp(), error=full[0])
        if full[0]:
            raise SnapshotError(full[0])
        taken.append(clock.now())
        return "took it"

    snapshots = schedule.Snapshots(
        cron.parse("0 13 * * *"),
        take=take,
        last=lambda: last[0],
        events=told,
        node="h1",
        clock=clock,
        zone=UTC,
    )
    while clock.now() < NOW + timedelta(days=1):
        clock.step(snapshots.step())
    assert taken == [NOW + timedelta(hours=1)]
    full[0] = "no space"
    while clock.now() < NOW + timedelta(days=1, hours=1, minutes=15):
        clock.step(snapshots.step())
    assert told.events == [
        ("Normal", "SnapshotTaken", "took it"),
        ("Warning", "SnapshotFailed", "no space"),
        ("Warning", "SnapshotFailed", "no space"),
    ]
