"""A log as the kubelet is given it: what is there, or on and on until the container has ended and all is
said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from mini8s.agent.runtime.base import EngineDown, EngineError
from mini8s.agent.runtime.docker.logs.entries import Choice
from mini8s.agent.runtime.docker.logs.files import LogFiles
from mini8s.agent.runtime.docker.logs.watch import Watch

LOOK_SECONDS = 30.0  # as the relist: behind the news, in case one is missed
STATE = "config.v2.json"  # beside the log: written when a container's state has changed, removed with it


class FileLog:
    """Fulfils LogStream. `runs` asks the engine whether the container still does; `forget` is called
    at the end. Nothing is open before the first piece is asked for."""

    def __init__(
        self,
        path: Path,
        choice: Choice,
        tail: int | None,
        runs: Callable[[], bool] | None,
        forget: Callable[[FileLog], None],
    ) -> None:
        self._path, self._choice, self._tail = path, choice, tail
        self._runs = runs
        self._forget = forget
        self._begun = self._closed = False
        self._watch: Watch | None = None
        self._lock = threading.Lock()  # guards _watch: who closes may not wake what is closed already

    def __iter__(self) -> Iterator[bytes]:
        """Raises EngineError."""
        self._begun = True
        try:
            yield from self._all() if self._runs is None else self._followed(self._runs)
        except OSError as error:
            raise EngineError(f"failed to read the log {self._path}: {error.strerror or error}") from error
        finally:
            self._forget(self)

    def close(self) -> None:
        """The reader lets go of what it reads; when there is none, nobody else would."""
        self._closed = True
        if not self._begun:
            self._forget(self)
        with self._lock:
            if self._watch is not None:
                self._watch.wake()

    def _all(self) -> Iterator[bytes]:
        with closing(LogFiles(self._path, self._choice, self._tail)) as files:
            while not self._closed and (piece := files.more()):
                yield piece

    def _followed(self, runs: Callable[[], bool]) -> Iterator[bytes]:
        """What was written before the container ended is there when the engine says that it has: so it is
        asked first, and read to the end then."""
        watch = self._begin()
        try:
            with closing(LogFiles(self._path, self._choice, self._tail)) as files:
                ended, looked = False, False
                while not self._closed:
                    if piece := files.more():
                        yield piece
                        continue
                    if ended:
                        return
                    heard = watch.wait(LOOK_SECONDS) if looked else set()
                    if not self._closed and (not heard or STATE in heard):
                        looked, ended = True, not _running(runs)
        finally:
            with self._lock:
                self._watch = None
                watch.close()

    def _begin(self) -> Watch:
        with self._lock:
            self._watch = Watch(self._path.parent)
            return self._watch


def _running(runs: Callable[[], bool]) -> bool:
    """An engine that doesn't answer has not said that it ended."""
    try:
        return runs()
    except EngineDown:
        return True
