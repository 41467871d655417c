"""Images that come as files: what lies in DATA/agent/images is loaded once, and again when it changes.

What was loaded is noted on disk, so that an agent's start doesn't read gigabytes for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime
from mini8s.wire.codec import decode_json, encode_json

log = logging.getLogger(__name__)

SUFFIXES = (".tar", ".tar.gz", ".tgz")
Stamp = list[int]  # size, time of change


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that was loaded, and what it brought."""

    stamp: Stamp
    names: list[str]


class ImageFolder:
    """`arrived` is called with the names that a file brought."""

    def __init__(self, data_dir: Path, runtime: Runtime, arrived: Callable[[Iterable[str]], None]) -> None:
        self._folder = data_dir / "agent" / "images"
        self._notes = data_dir / "agent" / "images.json"
        self._runtime = runtime
        self._arrived = arrived
        self._seen: dict[str, Stamp] = {}  # by this agent, whether it could be loaded or not
        self.loaded = False  # whether all that lay there was seen to once
        self.pinned: frozenset[str] = frozenset()  # names that came from files: never collected

    def prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)

    def noted(self) -> frozenset[str]:
        """Names that came from the files that lie there, by the notes of whoever loaded them."""
        notes, here = self._read(), {path.name for path in self._files()}
        return frozenset(name for file, note in notes.items() if file in here for name in note.names)

    def scan(self) -> None:
        """Load what is new. Raises EngineDown; a file that is no image is said once and left alone."""
        for path in self._files():
            stamp = _stamp(path)
            if self._seen.get(path.name) == stamp:
                continue
            names = self._load(path, stamp)
            self._seen[path.name] = stamp
            self.pinned |= frozenset(names)
            self._arrived(names)
        self.loaded = True

    def _files(self) -> Sequence[Path]:
        if not self._folder.is_dir():
            return ()
        return sorted(path for path in self._folder.iterdir() if path.name.endswith(SUFFIXES))

    def _load(self, path: Path, stamp: Stamp) -> Sequence[str]:
        known = self._read().get(path.name)
        if known and known.stamp == stamp and all(map(self._runtime.image, known.names)):
            return known.names
        try:
            names = self._runtime.load(str(path))
        except EngineDown:
            raise
        except (EngineError, OSError) as error:
            log.warning("cannot load images from %s: %s", path, error)
            return ()
        log.info("loaded %s from %s", ", ".join(names) or "nothing", path)
        self._write({**self._read(), path.name: Loaded(stamp, list(names))})
        return names

    def _read(self) -> dict[str, Loaded]:
        try:
            found = decode_json(self._notes.read_bytes())
        except FileNotFoundError:
            return {}
        return {name: Loaded(note["stamp"], note["names"]) for name, note in found.items()}

    def _write(self, notes: Mapping[str, Loaded]) -> None:
        new = self._notes.with_suffix(".new")
        new.write_bytes(encode_json({name: asdict(note) for name, note in notes.items()}))
        new.replace(self._notes)


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
