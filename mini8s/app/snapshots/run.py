"""Taking a snapshot and noting what became of it, in a process of its own: `python -m
mini8s.app.snapshots.run DATA_DIR REASON`, as the server's settings say.

Hashing and packing are a processor's work for seconds on a small board, and the memory leaves with the
process.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mini8s.app.layout import ServerFiles, server_files
from mini8s.app.snapshots import note
from mini8s.app.snapshots.base import SCHEDULED, SnapshotError
from mini8s.app.snapshots.take import Taken, Wish, take

COMMAND_SECONDS = 6 * 3600.0  # a night's upload over a slow line; one that hangs must not end all that follow
_NICE = 10  # pods and the API go first


def noted(files: ServerFiles, wish: Wish, now: datetime) -> Taken:
    """Take one, and note what became of it. Raises SnapshotError."""
    before = note.last(files)
    try:
        taken = take(files, wish, now)
    except SnapshotError as error:
        _note(files, replace(before, tried=now.timestamp(), error=str(error)))
        raise
    when = now.timestamp()
    _note(files, note.Last(tried=when, taken=when, size=taken.size, name=taken.name))
    return taken


def wish_of(said: note.Practice, why: str) -> Wish:
    """What the server's settings ask for."""
    return Wish(
        folder=Path(said.folder),
        node=said.node,
        why=why,
        passphrase_file=said.encrypt_with,
        command=said.command if why == SCHEDULED else "",
        seconds=COMMAND_SECONDS,
        count=said.retention,
        days=said.max_age,
    )


def sentence(taken: Taken) -> str:
    where = str(taken.path) if taken.path else f"{taken.name}, handed to the command"
    gone = f"; removed {', '.join(taken.removed)}" if taken.removed else ""
    return f"took {where} ({taken.size / 1024:.0f} KiB, revision {taken.manifest.revision}){gone}"


def _note(files: ServerFiles, said: note.Last) -> None:
    """A full disk may refuse this too; the sentence has been said then."""
    try:
        note.write_last(files, said)
    except OSError as error:
        sys.stderr.write(f"{files.last_snapshot} can't be written: {error.strerror}\n")


def main() -> int:
    data_dir, why = sys.argv[1:]
    os.nice(_NICE)
    files = server_files(data_dir)
    try:
        taken = noted(files, wish_of(note.practice(files), why), datetime.now(UTC))
    except SnapshotError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{sentence(taken)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
