"""Netlink messages and their attributes (netlink(7)), written and taken apart. PURE.

With `struct`, because some of those who use it send and read thousands at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # length, type
REQUEST, ACK, DUMP, CREATE = 1, 4, 0x300, 0x400  # flags
ERROR, DONE = 2, 3  # types
NETFILTER = 12  # the protocol of nfnetlink
IPV4 = 2
NESTED = 0x8000  # of an attribute's type
_GENERIC = struct.Struct(">BBH")  # family, version, resource
_STATUS = struct.Struct("=i")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def nfnetlink(
    type: int, flags: int, number: int, body: bytes, *, family: int = IPV4, resource: int = 0
) -> bytes:
    """A message to one of netfilter's subsystems; answers carry the number."""
    header = HEADER.pack(HEADER.size + _GENERIC.size + len(body), type, flags, number, 0)
    return header + _GENERIC.pack(family, 0, resource) + body


def attribute(type: int, data: bytes) -> bytes:
    return ATTRIBUTE.pack(len(data) + 4, type) + data + _PADDING[len(data) & 3]


def nested(type: int, data: bytes) -> bytes:
    return attribute(type | NESTED, data)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and contents of the attributes in a piece of a message."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def places(data: bytes) -> Iterator[tuple[int, int, int]]:
    """The type of each message in what was received, and where it begins and ends."""
    begin = 0
    while begin + HEADER.size <= len(data):
        length, kind, *_ = HEADER.unpack_from(data, begin)
        if length < HEADER.size:
            return
        yield kind, begin, begin + length
        begin += (length + 3) & ~3


def payloads(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The type of each message in what was received, and what follows its header."""
    for kind, begin, end in places(data):
        yield kind, data[begin + HEADER.size : end]


def code(payload: bytes) -> int:
    """What an ERROR says: an errno, 0 for success."""
    return -int(_STATUS.unpack_from(payload)[0])
