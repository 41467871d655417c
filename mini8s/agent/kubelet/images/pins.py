"""Images that somebody wants to keep: their names, in a file of the agent's that `mini8s image` writes. What
is pinned is never collected, like what came from the image folder."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from mini8s.objects.errors import BadRequest
from mini8s.wire.codec import decode_json, encode_json

log = logging.getLogger(__name__)


class Pins:
    """Read by the agent whenever it collects, written by whoever is root on its host."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "agent" / "pinned-images.json"
        self._told = ""

    def names(self) -> frozenset[str]:
        """None where there is no such file, or where it can't be read, which is said once."""
        try:
            found = decode_json(self._path.read_bytes())
            if not isinstance(found, list):
                raise BadRequest("it is not a list of names")
            return frozenset(map(str, found))
        except FileNotFoundError:
            return frozenset()
        except (BadRequest, OSError) as error:
            if self._told != str(error):
                self._told = str(error)
                log.warning("%s can't be read, and no image is pinned: %s", self._path, error)
            return frozenset()

    def add(self, names: Iterable[str]) -> None:
        """Raises OSError."""
        self._change(lambda known: known | frozenset(names))

    def remove(self, names: Iterable[str]) -> None:
        """Raises OSError."""
        self._change(lambda known: known - frozenset(names))

    def _change(self, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
        """One at a time: two commands must not lose each other's."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.with_suffix(".lock").open("wb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            before = self.names()
            after = change(before)
            if after == before:
                return
            new = self._path.with_suffix(".new")
            with new.open("wb") as file:
                file.write(encode_json(sorted(after)))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)


def tags(names: Iterable[str]) -> list[str]:
    """Of an image's names those that are to be pinned: a digest would keep what a tag has left behind."""
    listed = list(names)
    return [name for name in listed if "@" not in name] or listed
