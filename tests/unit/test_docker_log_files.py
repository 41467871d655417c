"""A container's log, read from files that are rotated, packed, cut and removed by another meanwhile."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mini8s.agent.runtime.base import EngineDown, EngineError
from mini8s.agent.runtime.docker.logs import files as logfiles
from mini8s.agent.runtime.docker.logs.entries import Choice, Entry, Output, decode, stamp
from mini8s.agent.runtime.docker.logs.files import LogFiles
from mini8s.agent.runtime.docker.logs.stream import STATE, FileLog

ALL = Choice()
SECONDS = 10


class Engine:
    """Writes as the json-file driver does; an entry's time is its number in seconds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "c-json.log"
        self.count = 0

    def write(self, *texts: str, stream: str = "stdout") -> None:
        with self.path.open("ab") as file:
            for text in texts:
                self.count += 1
                entry = {"log": text, "stream": stream, "time": when(self.count)}
                file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    def rotate(self, most: int = 3, *, pack: bool = False) -> None:
        ending = ".gz" if pack else ""
        for number in range(most - 1, 1, -1):
            older = self._numbered(number - 1, ending)
            if older.exists():
                older.rename(self._numbered(number, ending))
        first = self._numbered(1, "")
        self.path.rename(first)
        if pack:
            self._numbered(1, ending).write_bytes(gzip.compress(first.read_bytes()))
            first.unlink()
        self.path.touch()

    def change(self) -> None:
        """The container's state is another."""
        (self.path.parent / "new").touch()
        (self.path.parent / "new").rename(self.path.parent / STATE)

    def _numbered(self, number: int, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{ending}")


def when(number: int) -> str:
    return f"2026-01-01T00:{number // 60:02}:{number % 60:02}.5Z"


def unix(number: int) -> float:
    return datetime(2026, 1, 1, 0, number // 60, number % 60, 500_000, tzinfo=UTC).timestamp()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def now(engine: Engine, choice: Choice = ALL, tail: int | None = None) -> str:
    return b"".join(FileLog(engine.path, choice, tail, None, lambda _: None)).decode()


# ---- what entries say


def test_pieces_go_out_as_they_are_and_only_a_line_has_a_time() -> None:
    pieces = [
        Entry("a b", "stdout", when(1)),
        Entry("c\n", "stdout", when(2)),
        Entry("\0é\n", "stderr", "2026-01-01T00:00:03Z"),
    ]
    assert Output(ALL).of(pieces) == "a bc\n\0é\n".encode()
    stamped = Output(Choice(timestamps=True))
    assert stamped.of(pieces[:1]) == b"2026-01-01T00:00:01.500000000Z a b"
    assert stamped.of(pieces[1:]).decode() == "c\n2026-01-01T00:00:03.000000000Z \0é\n"


def test_one_stream_and_what_is_new_enough() -> None:
    entries = [Entry(f"{n}\n", "stderr" if n % 2 else "stdout", when(n)) for n in range(6)]
    assert Output(Choice(streams=frozenset({"stderr"}))).of(entries) == b"1\n3\n5\n"
    assert Output(Choice(since=unix(4))).of(entries) == b"4\n5\n"
    assert Output(Choice(since=unix(4) + 0.1)).of(entries) == b"5\n"


def test_times_are_as_long_as_each_other() -> None:
    assert stamp("2026-01-01T00:00:00Z") == "2026-01-01T00:00:00.000000000Z"
    assert stamp("2026-01-01T00:00:00.12Z") < stamp("2026-01-01T00:00:00.120000001Z")


def test_a_torn_entry_is_left_out() -> None:
    torn = b'{"log":"a\\n","stream":"stdout","time":"t"}\n\0\0{"log":"b\n{"log":"c\\n"}\n'
    assert [one.log for one in decode(torn)] == ["a\n", "c\n"]


# ---- files


def test_all_files_are_read_from_the_oldest_on(engine: Engine) -> None:
    for number in range(5):
        engine.write(f"{number}\n")
        if number < 4:
            engine.rotate()
    assert now(engine) == "2\n3\n4\n"


def test_packed_files_are_unpacked(engine: Engine) -> None:
    for number in range(3):
        engine.write(f"{number}\n")
        if number < 2:
            engine.rotate(pack=True)
    assert now(engine) == "0\n1\n2\n"
    assert now(engine, tail=2) == "1\n2\n"


@pytest.mark.parametrize("piece", [1, 70, logfiles.PIECE])
def test_the_last_lines_wherever_they_begin(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    """Also of files that are looked at in small pieces, and of lines in several entries and files."""
    monkeypatch.setattr(logfiles, "PIECE", piece)
    engine.write("1\n", "2a")
    engine.rotate()
    engine.write("2b", "2c\n", "3\n", "4\n", "5a", "5b")
    whole = ["1\n", "2a2b2c\n", "3\n", "4\n", "5a5b"]
    for lines in range(7):
        assert now(engine, tail=lines) == "".join(whole[len(whole) - min(lines, 5) :]), lines
    engine.write("5c\n")
    assert now(engine, tail=2) == "4\n5a5b5c\n"


def test_what_is_just_being_written_waits(engine: Engine) -> None:
    engine.write("1\n", "2\n")
    with engine.path.open("ab") as file:
        file.write(b'{"log":"3')
    assert now(engine) == "1\n2\n"
    assert now(engine, tail=1) == "2\n"
    assert now(engine, tail=0) == ""


def test_old_files_are_not_read_for_what_is_new(engine: Engine) -> None:
    """A file is as old as its last byte, whatever its entries say."""
    engine.write("1\n", "2\n")
    engine.rotate()
    engine.write("3\n")
    assert now(engine, Choice(since=unix(2))) == "2\n3\n"
    os.utime(engine.path.with_name(f"{engine.path.name}.1"), (0, 0))
    assert now(engine, Choice(since=unix(2))) == "3\n"


def test_an_entry_longer_than_a_piece(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfiles, "PIECE", 100)
    monkeypatch.setattr(logfiles, "LONGEST", 1600)
    engine.write("x" * 900 + "\n", "y" * 9000 + "\n", "z\n")
    assert now(engine) == "x" * 900 + "\nz\n"


def test_no_files_are_no_lines(engine: Engine) -> None:
    assert now(engine) == ""


# ---- while others write


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("each", [1, 2, 3, 5, 7])
def test_every_line_once_however_files_are_rotated_between_two_looks(
    engine: Engine, each: int, pack: bool
) -> None:
    """As long as the engine keeps more files than are begun between two looks."""
    engine.write("0\n")
    files, said = LogFiles(engine.path, ALL, None), b""
    for number in range(1, 40):
        engine.write(f"{number}\n")
        if number % 2:
            engine.rotate(most=6, pack=pack)
        if number % each == 0:
            while piece := files.more():
                said += piece
    while piece := files.more():
        said += piece
    files.close()
    assert said.decode().split() == [str(number) for number in range(40)]


def test_a_log_of_one_file_begins_again(engine: Engine) -> None:
    engine.write("1\n", "2\n")
    files = LogFiles(engine.path, ALL, None)
    assert files.more() == b"1\n2\n"
    engine.path.write_bytes(b"")
    assert files.more() == b""
    engine.write("3\n")
    assert files.more() == b"3\n"
    files.close()


class Follower:
    """One that listens on a thread of its own. `answer` is what the engine says of the container."""

    def __init__(self, engine: Engine, tail: int | None = None) -> None:
        self.answer: Callable[[], bool] = lambda: True
        self.said: list[bytes] = []
        self.forgotten: list[FileLog] = []
        self.log = FileLog(engine.path, ALL, tail, self.runs, self.forgotten.append)
        self._more = threading.Condition()
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def runs(self) -> bool:
        return self.answer()

    def _listen(self) -> None:
        for piece in self.log:
            with self._more:
                self.said.append(piece)
                self._more.notify_all()

    def expect(self, text: str) -> None:
        with self._more:
            assert self._more.wait_for(lambda: b"".join(self.said).decode() == text, SECONDS), self.said

    def ended(self) -> bool:
        self.thread.join(SECONDS)
        return not self.thread.is_alive() and self.forgotten == [self.log]


@pytest.fixture
def follow(engine: Engine) -> Iterator[Callable[..., Follower]]:
    made: list[Follower] = []

    def begin(tail: int | None = None) -> Follower:
        made.append(Follower(engine, tail))
        return made[-1]

    yield begin
    for one in made:
        one.log.close()
        assert one.ended()


def test_followers_hear_all_across_files_until_the_container_has_ended(
    engine: Engine, follow: Callable[..., Follower]
) -> None:
    engine.write("1\n", "2\n")
    whole, part = follow(), follow(tail=1)
    whole.expect("1\n2\n")
    part.expect("2\n")
    engine.write("3\n")
    engine.rotate()
    engine.write("4\n")
    whole.expect("1\n2\n3\n4\n")
    part.expect("2\n3\n4\n")
    engine.change()
    engine.write("5\n")
    whole.expect("1\n2\n3\n4\n5\n")
    whole.answer = part.answer = lambda: False
    engine.change()
    assert whole.ended()
    assert part.ended()


def test_what_was_said_before_the_end_is_heard(engine: Engine, follow: Callable[..., Follower]) -> None:
    engine.write("1\n")
    one = follow()
    one.expect("1\n")

    def last_words() -> bool:
        engine.write("last\n")
        return False

    one.answer = last_words
    engine.change()
    one.expect("1\nlast\n")
    assert one.ended()


def test_an_engine_that_does_not_answer_has_ended_nothing(
    engine: Engine, follow: Callable[..., Follower]
) -> None:
    asked = threading.Semaphore(0)

    def down() -> bool:
        asked.release()
        raise EngineDown("no answer")

    engine.write("1\n")
    one = follow()
    one.expect("1\n")
    one.answer = down
    for _ in range(2):  # who takes it for ended asks no more
        engine.change()
        assert asked.acquire(timeout=SECONDS)
    engine.write("2\n")
    one.expect("1\n2\n")
    one.log.close()
    assert one.ended()


def test_a_folder_that_goes_ends_it(engine: Engine, follow: Callable[..., Follower]) -> None:
    engine.write("1\n")
    engine.change()
    one = follow()
    one.expect("1\n")
    one.answer = lambda: False
    engine.path.unlink()
    (engine.path.parent / STATE).unlink()
    engine.path.parent.rmdir()
    assert one.ended()


def test_who_leaves_early_leaves_nothing_open(engine: Engine) -> None:
    engine.write(*(f"{number}\n" for number in range(9)))
    gone: list[FileLog] = []
    log = FileLog(engine.path, ALL, None, lambda: True, gone.append)
    pieces = iter(log)
    assert next(pieces)
    log.close()
    assert list(pieces) == []
    assert gone == [log]
    assert not _open_files(engine.path.parent)


@pytest.mark.parametrize("runs", [None, lambda: True])
def test_a_log_that_nobody_reads_is_let_go_when_it_is_closed(
    engine: Engine, runs: Callable[[], bool] | None
) -> None:
    engine.write("1\n")
    gone: list[FileLog] = []
    log = FileLog(engine.path, ALL, None, runs, gone.append)
    log.close()
    assert gone == [log]
    assert list(log) == []


def test_a_log_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"failed to read the log .*: No such file or directory"):
        list(FileLog(tmp_path / "gone" / "x", ALL, None, lambda: True, lambda _: None))


def _open_files(folder: Path) -> Sequence[Path]:
    opened = (Path("/proc/self/fd") / name for name in Path("/proc/self/fd").iterdir())
    return [one for one in opened if one.exists() and str(one.resolve()).startswith(str(folder))]
