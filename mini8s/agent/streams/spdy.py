"""PURE: SPDY/3.1 as Kubernetes' clients speak it (moby/spdystream): streams that the client opens, no
priorities, no flow control: back-pressure is the connection's own."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mini8s.agent.streams.errors import ProtocolError

_DICTIONARY = Path(__file__).with_name("spdy_dictionary.bin").read_bytes()  # the draft's, for header blocks
_SYN_STREAM, _SYN_REPLY, _RST, _PING, _GOAWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_CONTROL = 0x8003  # the control bit, and version 3
_FIN = 1
_ID = 0x7FFFFFFF
_CANCEL = 5
MOST_HEADERS = 64 * 1024  # bytes when unpacked
MOST_PIECE = 1 << 20  # bytes in one of our data frames; the format's limit is 16 MiB


@dataclass(frozen=True, slots=True)
class Opened:
    """The client opened a stream; header names are in lower case."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The client says no more on this stream; `reset`: and wants to hear no more."""

    stream: int
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """The client opens no further streams."""


Event = Opened | Data | Ended | Left


class Spdy:
    """One connection, the server's half. `send` takes what is to be written to the client; streams are
    accepted and pings answered here."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._read = bytearray()
        self._unpack = zlib.decompressobj(zdict=_DICTIONARY)
        self._pack = zlib.compressobj(zdict=_DICTIONARY)

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the frames that are complete with this say. Raises ProtocolError."""
        read = self._read
        read += data
        while len(read) >= 8:
            first, flags, length = int.from_bytes(read[:4], "big"), read[4], int.from_bytes(read[5:8], "big")
            if len(read) < 8 + length:
                return
            payload = bytes(read[8 : 8 + length])
            del read[: 8 + length]
            if not first >> 31:
                if payload:
                    yield Data(first, payload)
                if flags & _FIN:
                    yield Ended(first)
            else:
                yield from self._control(first, flags, payload)

    def data(self, stream: int, data: bytes) -> None:
        for start in range(0, len(data), MOST_PIECE):
            piece = data[start : start + MOST_PIECE]
            self._send(struct.pack(">II", stream, len(piece)) + piece)

    def end(self, stream: int) -> None:
        self._send(struct.pack(">II", stream, _FIN << 24))

    def reset(self, stream: int) -> None:
        self._control_out(_RST, struct.pack(">II", stream, _CANCEL))

    def leave(self) -> None:
        self._control_out(_GOAWAY, struct.pack(">II", 0, 0))

    def _control(self, first: int, flags: int, payload: bytes) -> Iterator[Event]:
        if first >> 16 != _CONTROL:
            raise ProtocolError("a SPDY frame of another version")
        kind = first & 0xFFFF
        if kind == _SYN_STREAM:
            yield from self._opened(flags, payload)
        elif kind == _RST:
            yield Ended(_number(payload), reset=True)
        elif kind == _HEADERS:
            self._headers(payload[4:])  # the packing's state goes on over all of them
        elif kind == _PING:
            self._control_out(_PING, payload)
        elif kind == _GOAWAY:
            yield Left()

    def _opened(self, flags: int, payload: bytes) -> Iterator[Event]:
        stream = _number(payload)
        headers = self._headers(payload[10:])
        none = self._pack.compress(bytes(4)) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        self._control_out(_SYN_REPLY, struct.pack(">I", stream) + none)
        yield Opened(stream, headers)
        if flags & _FIN:
            yield Ended(stream)

    def _headers(self, packed: bytes) -> dict[str, str]:
        try:
            block = self._unpack.decompress(packed, MOST_HEADERS)
        except zlib.error as error:
            raise ProtocolError(f"SPDY headers that can't be unpacked: {error}") from error
        if self._unpack.unconsumed_tail:
            raise ProtocolError(f"SPDY headers of more than {MOST_HEADERS} bytes")
        words = _words(block)
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def _control_out(self, kind: int, payload: bytes) -> None:
        self._send(struct.pack(">HHI", _CONTROL, kind, len(payload)) + payload)


def _number(payload: bytes) -> int:
    if len(payload) < 4:
        raise ProtocolError("a SPDY frame that is too short")
    return int.from_bytes(payload[:4], "big") & _ID


def _words(block: bytes) -> list[str]:
    """Names and values in turn, each after its length."""
    try:
        (count,), at, found = struct.unpack_from(">I", block), 4, []
        for _ in range(min(count, MOST_HEADERS) * 2):
            (length,) = struct.unpack_from(">I", block, at)
            at += 4 + length
            if at > len(block):
                raise ProtocolError("SPDY headers that end too early")
            found.append(block[at - length : at].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise ProtocolError(f"SPDY headers that can't be read: {error}") from error
    return found
