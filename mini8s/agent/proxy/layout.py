"""The shape of what lives in the kernel: constant chains, and maps that hold all state. PURE.

A front (an address and port that clients use) maps to a *mark*, one number that says everything about it:

    1 bit   no masquerade: the client's address is kept
    21 bits group: the set of endpoints to choose from
    10 bits class: 0x200 session affinity + number of endpoints; 0 rejects, 0x1ff drops

The class selects one of a few constant chains, which picks a slot of the group at random. The kernel's cost
of a change is therefore that of the elements that change, however many Services there are; a chain for each
Service would cost time in proportion to all of them.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

TABLE = "mini8s_proxy"

KEEP_CLIENT = 0x80000000
GROUP_SHIFT = 10
GROUP_MASK = 0x7FFFFC00
GROUPS = 1 << 21
CLASS_MASK = 0x3FF
AFFINITY = 0x200
DROP = 0x1FF
REJECT = 0
MOST_ENDPOINTS = 0x1FE  # of one group: what the class has room for

FRONTS, NODE_PORTS, ENDPOINTS, HAIRPINS, LEARNED = "fe", "np", "eps", "hp", "aff"
HOST_FRONTS = "ha"  # host ports of one address, which counts only while it is this host's

Value = str | int
Values = tuple[Value, ...]
Slot = tuple[str, int]  # where a packet may end: an address and a port
Place = tuple[str, Values]  # a map and a key in it
Elements = Mapping[Place, Values]  # data by place; a set's data is empty

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_PORT, _HOST = struct.Struct(">HH"), struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a key or of data: how it is written in a message (4 bytes), in nft's language, and read."""

    pack: Callable[[Value], bytes]
    text: Callable[[Value], str]
    read: Callable[[bytes], Value]


def _pack_port(value: Value) -> bytes:
    return _PORT.pack(value, 0)


def _read_port(data: bytes) -> int:
    return int(_PORT.unpack(data)[0])


def _read_number(data: bytes) -> int:
    return int(_HOST.unpack(data)[0])


def _protocol_name(data: bytes) -> str:
    return _PROTOCOL_NAMES.get(data[0], str(data[0]))


ADDRESS = Field(lambda value: socket.inet_aton(str(value)), str, socket.inet_ntoa)
PROTOCOL = Field(lambda value: bytes((PROTOCOLS[str(value)], 0, 0, 0)), str, _protocol_name)
PORT = Field(_pack_port, str, _read_port)
NUMBER = Field(_HOST.pack, str, _read_number)
MARK = Field(_HOST.pack, lambda value: f"{value:#010x}", _read_number)


@dataclass(frozen=True, slots=True)
class Map:
    """What the keys and data of a map (a set when it has no data) are made of."""

    key: tuple[Field, ...]
    data: tuple[Field, ...] = ()


MAPS: Mapping[str, Map] = {
    FRONTS: Map((ADDRESS, PROTOCOL, PORT), (MARK,)),
    HOST_FRONTS: Map((ADDRESS, PROTOCOL, PORT), (MARK,)),
    NODE_PORTS: Map((PROTOCOL, PORT), (MARK,)),
    ENDPOINTS: Map((MARK, NUMBER), (ADDRESS, PORT)),
    HAIRPINS: Map((ADDRESS, ADDRESS)),
    LEARNED: Map((MARK, ADDRESS), (ADDRESS, PORT)),
}


def pack(fields: tuple[Field, ...], values: Values) -> bytes:
    return b"".join([field.pack(value) for field, value in zip(fields, values, strict=True)])


def unpack(fields: tuple[Field, ...], data: bytes) -> Values:
    return tuple(field.read(data[4 * i : 4 * i + 4]) for i, field in enumerate(fields))


def mark(group: int, kind: int, *, keep_client: bool = False) -> int:
    """The number a front maps to; `kind` is its class."""
    return (KEEP_CLIENT if keep_client else 0) | group << GROUP_SHIFT | kind
