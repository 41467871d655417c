"""The file that the agent's memory lies in: lines that are only ever appended, until too many are out of date
and it is written anew.

A small change costs a small write, which spares flash. Every line carries its checksum, so that one that was
damaged costs what it says and nothing else; the whole file as it was found is then set aside for whoever
wants to look. A last line without its end is what a power cut leaves of the last write, and no damage.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mini8s.objects.errors import BadRequest
from mini8s.util.durable import sync_folder
from mini8s.wire.codec import decode_json, encode_json

log = logging.getLogger(__name__)

HEADER = b"mini8s agent state, version 1\n"
VERBS = frozenset({"put", "sealed", "gone", "listed", "dropped"})
_SUM = 8  # hexadecimal digits of a line's CRC-32


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. Of a shelf (what one informer follows) it says: `put` an object there, `sealed` the same
    unreadably, an object is `gone`, all was `listed` so that what isn't there doesn't exist, or all of it is
    `dropped`."""

    verb: str
    shelf: str
    key: str = ""
    value: Any = None

    def line(self) -> bytes:
        body = encode_json([self.verb, self.shelf, self.key, self.value])
        return b"%0*x %s\n" % (_SUM, zlib.crc32(body), body)


def parse(line: bytes) -> Entry | None:
    """The entry of a whole line, None when it is damaged."""
    found, body = line[:_SUM], line[_SUM + 1 : -1]
    if found != b"%0*x" % (_SUM, zlib.crc32(body)):
        return None
    try:
        verb, shelf, key, value = decode_json(body)
    except (BadRequest, ValueError, TypeError):
        return None
    return Entry(verb, shelf, key, value) if verb in VERBS else None


class Journal:
    """One file in a folder that is root's alone. `size` is what it takes now; `doubtful` says that it must be
    written anew before anything is appended."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal"
        self.aside = folder / "journal.damaged"
        self.size = 0
        self.doubtful = True

    def read(self) -> Iterator[Entry]:
        """What can be read, in order; nothing where there is no file. Raises OSError."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            if file.readline() != HEADER:
                self._set_aside("is of another version of mini8s, or is no such file")
                return
            damaged, torn = 0, False
            for line in file:
                if not line.endswith(b"\n"):
                    torn = True
                elif entry := parse(line):
                    yield entry
                else:
                    damaged += 1
        self.size, self.doubtful = self.path.stat().st_size, torn
        if damaged:
            self._set_aside(f"has {damaged} damaged lines: what they said must come from the server again")

    def _set_aside(self, why: str) -> None:
        self.doubtful = True
        self.aside.unlink(missing_ok=True)
        os.link(self.path, self.aside)
        log.warning("the agent's memory %s %s; a copy is %s", self.path, why, self.aside)

    def append(self, lines: Iterable[bytes]) -> None:
        """Lasting when it returns. Raises OSError; then the file is doubtful."""
        data = b"".join(lines)
        self.doubtful = True
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as file:
            _write(file.fileno(), data)
        self.size += len(data)
        self.doubtful = False

    def replace(self, lines: Iterable[bytes]) -> None:
        """Write all anew: the old file or the new one is there, never half of one. Raises OSError."""
        data = b"".join((HEADER, *lines))
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / "journal.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            _write(file.fileno(), data)
        draft.replace(self.path)
        sync_folder(folder)
        self.size, self.doubtful = len(data), False


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.fdatasync(fd)
