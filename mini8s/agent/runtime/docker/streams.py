"""A stream of the engine, closable by another thread (following a log may wait for hours)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from mini8s.agent.runtime.docker.errors import translated

Item = TypeVar("Item")
PIECE = 65536  # bytes


def once_a_line(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Frames of a log with timestamps; only where a line begins one is left.

    The engine keeps a line in pieces of 16 KiB and stamps each, and so would put times amidst a long line;
    the kubelet stamps what follows a newline."""
    begins = True
    for frame in frames:
        yield frame if begins else frame.partition(b" ")[2]
        begins = frame.endswith(b"\n")


def in_pieces(stream: Any) -> Iterator[bytes]:
    """A terminal's log, which the SDK would give out byte by byte."""
    pieces: Iterator[bytes] = stream._response.iter_content(PIECE)  # noqa: SLF001 - it has no name for it
    return pieces


class Stream(Generic[Item]):
    """Fulfils LogStream when its items are bytes. `forget` is called once, when it has ended."""

    def __init__(
        self,
        stream: Any,
        forget: Callable[[Stream[Item]], None],
        read: Callable[[Any], Iterator[Item]] = iter,
    ) -> None:
        self._stream = stream
        self._read = read
        self._forget = forget
        self._closed = False
        self._begun = False

    def __iter__(self) -> Iterator[Item]:
        self._begun = True
        try:
            with translated():
                yield from self._read(self._stream) if not self._closed else ()
        except Exception:
            if not self._closed:  # a stream that we shut breaks in the reader's hands: that is its end
                raise
        finally:
            self._let_go()

    def close(self) -> None:
        """The reader lets go of what it reads; when there is none, nobody else would."""
        if not self._closed:
            self._closed = True
            self._stream.close()
            if not self._begun:
                self._let_go()

    def _let_go(self) -> None:
        """The SDK only shuts the socket; the rest it leaves to the garbage collector."""
        self._stream._response.close()  # noqa: SLF001 - it has no name for it
        self._forget(self)
