"""A stream of the engine, closable by another thread (following a log may wait for hours)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from mini8s.agent.runtime.docker.errors import translated

Item = TypeVar("Item")


class Stream(Generic[Item]):
    """Fulfils LogStream when its items are bytes. `forget` is called once, when it has ended."""

    def __init__(self, stream: Any, forget: Callable[[Stream[Item]], None]) -> None:
        self._stream = stream
        self._forget = forget
        self._closed = False

    def __iter__(self) -> Iterator[Item]:
        try:
            with translated():
                yield from self._stream
        except Exception:
            if not self._closed:  # a stream that we shut breaks in the reader's hands: that is its end
                raise
        finally:
            self._stream._response.close()  # noqa: SLF001 - the SDK leaves it to the garbage collector
            self._forget(self)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._stream.close()
