"""Streams of the engine hold their connection until somebody lets go of it, read or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mini8s.agent.runtime.docker.streams import Stream


class Response:
    closed = 0

    def close(self) -> None:
        self.closed += 1


class Said:
    """In the place of the SDK's stream: items, then an error when it was shut."""

    def __init__(self) -> None:
        self._response, self.shut = Response(), False

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        if self.shut:
            raise OSError("shut")
        yield b"two"

    def close(self) -> None:
        self.shut = True


@pytest.fixture
def said() -> Said:
    return Said()


def opened(said: Said) -> tuple[Stream[bytes], list[Any]]:
    ended: list[Any] = []
    return Stream(said, ended.append), ended


def test_who_reads_to_the_end_lets_go(said: Said) -> None:
    stream, ended = opened(said)
    assert list(stream) == [b"one", b"two"]
    assert (said._response.closed, ended) == (1, [stream])


def test_a_stream_that_is_shut_ends_for_its_reader(said: Said) -> None:
    stream, ended = opened(said)
    reader = iter(stream)
    assert next(reader) == b"one"
    stream.close()
    stream.close()
    assert (said._response.closed, ended) == (0, [])
    assert list(reader) == []
    assert (said._response.closed, ended) == (1, [stream])


def test_a_stream_that_nobody_reads_is_let_go_when_it_is_shut(said: Said) -> None:
    stream, ended = opened(said)
    stream.close()
    assert (said._response.closed, ended) == (1, [stream])
    assert list(stream) == []


def test_one_that_breaks_by_itself_says_so(said: Said) -> None:
    said.shut = True
    stream, ended = opened(said)
    with pytest.raises(OSError, match="shut"):
        list(stream)
    assert ended == [stream]
