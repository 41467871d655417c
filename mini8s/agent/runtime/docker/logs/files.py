"""The files of a log: `ID-json.log` that is written to, `.1` before it, `.2` (or `.2.gz`) before that.

The engine renames them while we read, from the highest number down. A file that is open stays what it was,
so all are opened first, from the newest on: what is renamed meanwhile is met again under a higher number and
known by its inode, and nothing slips through.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mini8s.agent.runtime.docker.logs.entries import Choice, Output, Tail, decode

PIECE = 256 * 1024  # bytes read at a time; an entry is below 100 KiB
LONGEST = 16 << 20  # bytes of an entry; one with more is no entry

Identity = tuple[int, int]


class LogFile:
    """One file, open. What is packed is unpacked to a nameless file when it is read first."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        found = os.fstat(self._number)
        self.identity: Identity = (found.st_dev, found.st_ino)
        self.written_at = found.st_mtime
        self._packed = path.suffix == ".gz"
        self._at = 0

    def read(self) -> bytes:
        """The next whole lines; b"" when there are no more now. Raises OSError."""
        number, size = self._unpacked(), PIECE
        while True:
            data = os.pread(number, size, self._at)
            end = data.rfind(b"\n") + 1
            if end:
                self._at += end
                return data[:end]
            if len(data) < size:
                return b""
            if size == LONGEST:
                self._at += size
            size = min(2 * size, LONGEST)

    def restart_if_cut(self) -> None:
        """A log of one file only is cut when it is full, and written from its beginning."""
        if os.fstat(self._number).st_size < self._at:
            self._at = 0

    def stand_before(self, tail: Tail) -> bool:
        """Go on reading at the first line of the tail; whether it begins within this file. Raises OSError."""
        for after, line in self._backwards():
            if any(tail.before(one) for one in decode(line)):
                self._at = after
                return True
        self._at = 0
        return False

    def stand_at_end(self) -> None:
        self._at = next((after for after, _ in self._backwards()), 0)

    def close(self) -> None:
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def _backwards(self) -> Iterator[tuple[int, bytes]]:
        """Whole lines from the end on, each with the place after it."""
        number = self._unpacked()
        start, rest = os.fstat(number).st_size, b""
        while start:
            size = min(PIECE, start)
            start -= size
            data = os.pread(number, size, start) + rest
            first, *lines = data.split(b"\n")
            after = start + len(data) - len(lines[-1] if lines else b"")
            for line in reversed(lines[:-1]):
                yield after, line
                after -= len(line) + 1
            rest = first + b"\n" if lines else data
        if rest.endswith(b"\n"):
            yield len(rest), rest

    def _unpacked(self) -> int:
        if self._packed:
            with tempfile.TemporaryFile() as plain, os.fdopen(os.dup(self._number), "rb") as packed:
                with gzip.open(packed) as source:
                    shutil.copyfileobj(source, plain, PIECE)
                plain.flush()
                os.dup2(plain.fileno(), self._number, inheritable=False)
            self._packed = False
        return self._number


class LogFiles:
    """A log from some place on, through all that becomes of its files."""

    def __init__(self, path: Path, choice: Choice, tail: int | None) -> None:
        """Raises OSError."""
        self._path = path
        self._output = Output(choice)
        self._files = deque(_opened(path))
        while len(self._files) > 1 and self._files[0].written_at < choice.since - 1:
            self._files.popleft().close()
        if tail is not None:
            self._stand_before(tail)

    def more(self) -> bytes:
        """The next bytes of what was chosen; b"" when there are no more now. Raises OSError."""
        while self._files or self._find_more():
            lines = self._files[0].read()
            if lines:
                if output := self._output.of(decode(lines)):
                    return output
            elif len(self._files) > 1:
                self._files.popleft().close()
            elif not self._find_more():
                return b""
        return b""

    def close(self) -> None:
        while self._files:
            self._files.pop().close()

    def _find_more(self) -> bool:
        """Whether newer files have come; the one before them is complete then, and read to its end first."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False  # between two files, or removed
        if self._files and self._files[-1].identity == (found.st_dev, found.st_ino):
            self._files[-1].restart_if_cut()
            return False
        newer = _opened(self._path)
        if self._files:
            newer = self._after(newer, self._files[-1].identity)
        self._files.extend(newer)
        return bool(newer)

    def _after(self, files: list[LogFile], identity: Identity) -> list[LogFile]:
        known = [number for number, one in enumerate(files) if one.identity == identity]
        if not known:  # packed or dropped already
            self._output.resume()
            return files
        for one in files[: known[0] + 1]:
            one.close()
        return files[known[0] + 1 :]

    def _stand_before(self, lines: int) -> None:
        if not lines:
            while len(self._files) > 1:
                self._files.popleft().close()
            for one in self._files:
                one.stand_at_end()
            return
        tail = Tail(lines)
        first = next((one for one in reversed(self._files) if one.stand_before(tail)), None)
        while first is not None and self._files[0] is not first:
            self._files.popleft().close()


def _opened(path: Path) -> list[LogFile]:
    """All that are there, oldest first."""
    found: dict[Identity, LogFile] = {}
    number, highest = 0, _highest(path)
    while True:
        one = _open(path, number)
        if one is None and number > highest:
            return list(reversed(found.values()))
        if one is not None and found.setdefault(one.identity, one) is not one:
            one.close()
        number += 1


def _open(path: Path, number: int) -> LogFile | None:
    plain = path.with_name(f"{path.name}.{number}") if number else path
    for name in (plain, plain.with_name(f"{plain.name}.gz")):
        with suppress(FileNotFoundError):
            return LogFile(name)
    return None


def _highest(path: Path) -> int:
    pattern = re.compile(re.escape(path.name) + r"\.([0-9]{1,6})(\.gz)?")
    with suppress(FileNotFoundError):
        numbers = [pattern.fullmatch(one.name) for one in path.parent.iterdir()]
        return max((int(found[1]) for found in numbers if found), default=0)
    return 0
