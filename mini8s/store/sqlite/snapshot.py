"""A consistent copy of the store while it is in use: one read transaction, written aside and then named.

The copy is for its owner's eyes only, as the store is, and has no free pages. It is an ordinary store file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw

from mini8s.store.base import StoreError, Ticket, Unavailable
from mini8s.store.sqlite import file
from mini8s.util.durable import sync_folder


class Taking:
    """One copy being made; `run` is the body of a native thread."""

    def __init__(
        self, source: str, target: str, ticket: Ticket, post: Callable[[Callable[[], None]], None]
    ) -> None:
        self.ticket = ticket
        self.error: StoreError | None = None
        self._source = source
        self._target = target
        self._post = post

    def outcome(self) -> None:
        """Wait for the end; raises what went wrong."""
        self.ticket.wait()
        if self.error:
            raise self.error

    def run(self) -> None:
        try:
            copy(self._source, self._target)
        except (apsw.Error, OSError) as error:
            self.error = Unavailable(f"{self._target} cannot be written: {error}")
        self._post(self.ticket.done)


def copy(source: str, target: str) -> None:
    """Write target whole or not at all."""
    partial = Path(f"{target}.partial")
    partial.unlink(missing_ok=True)
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _vacuum(source, str(partial))
            os.fsync(fd)
        finally:
            os.close(fd)
        partial.rename(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(partial.parent)


def _vacuum(source: str, target: str) -> None:
    db = file.connect(source)
    try:
        db.execute("vacuum into ?", (target,))
    finally:
        db.close(True)
