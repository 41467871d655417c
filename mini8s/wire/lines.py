"""JSON on lines of its own, many at a time: a file of them is read at hundreds of megabytes a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

Record = TypeVar("Record")
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError)


def decoder(record: type[Record]) -> Callable[[bytes], list[Record]]:
    """A function that turns lines into records (dataclasses). A line that is none is left out."""
    known: msgspec.json.Decoder[Record] = msgspec.json.Decoder(record)

    def decode(lines: bytes) -> list[Record]:
        try:
            return known.decode_lines(lines)
        except _BROKEN:
            return [one for line in lines.splitlines() for one in _one(known, line)]

    return decode


def _one(known: msgspec.json.Decoder[Record], line: bytes) -> list[Record]:
    try:
        return [known.decode(line)]
    except _BROKEN:
        return []
