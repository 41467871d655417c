"""Frames as clients of exec and port-forward send them."""

from __future__ import annotations

import struct
import zlib

from mini8s.agent.streams import spdy

MASK = b"\x37\xfa\x21\x3d"


def masked(message: bytes, opcode: int = 2, *, final: bool = True) -> bytes:
    """A frame as a client sends it."""
    length = len(message)
    first = (0x80 if final else 0) | opcode
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 1 << 16:
        head = struct.pack(">BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, length)
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(message))


class SpdyClient:
    """SPDY frames as a client sends them."""

    def __init__(self) -> None:
        self._pack = zlib.compressobj(zdict=spdy._DICTIONARY)

    def open(self, stream: int, fin: bool = False, **headers: str) -> bytes:
        words = [word for pair in headers.items() for word in pair]
        block = struct.pack(">I", len(headers))
        block += b"".join(struct.pack(">I", len(word.encode())) + word.encode() for word in words)
        packed = self._pack.compress(block) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        return control(1, struct.pack(">IIH", stream, 0, 0) + packed, flags=int(fin))

    def data(self, stream: int, data: bytes, fin: bool = False) -> bytes:
        return struct.pack(">II", stream, int(fin) << 24 | len(data)) + data


def control(kind: int, payload: bytes, *, flags: int = 0, version: int = 3) -> bytes:
    return struct.pack(">HHI", 0x8000 | version, kind, flags << 24 | len(payload)) + payload
