"""What elements of nftables' maps are made of, and how they are written and read. PURE.

A room that keeps its state in map elements says once which fields its maps have (a `Shape`); `nft` turns
elements into messages by it.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

Value = str | int
Values = tuple[Value, ...]
Place = tuple[str, Values]  # a map and a key in it
Elements = Mapping[Place, Values]  # data by place; a set's data is empty

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_PORT, _HOST, _NETWORK = struct.Struct(">HH"), struct.Struct("=I"), struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a key or of data: how it is written in a message (4 bytes), in nft's language, and read.
    `last` is how the end of what is a range is written."""

    pack: Callable[[Value], bytes]
    text: Callable[[Value], str]
    read: Callable[[bytes], Value]
    last: Callable[[Value], bytes] | None = None
    span: Callable[[bytes, bytes], Value] | None = None  # how a range is read


def _pack_port(value: Value) -> bytes:
    return _PORT.pack(value, 0)


def _read_port(data: bytes) -> int:
    return int(_PORT.unpack(data)[0])


def _read_number(data: bytes) -> int:
    return int(_HOST.unpack(data)[0])


def _protocol_name(data: bytes) -> str:
    return _PROTOCOL_NAMES.get(data[0], str(data[0]))


def _end(value: Value, index: int) -> str:
    """The first or last of "first-last"."""
    return str(value).split("-")[index]


def _handle(value: Value) -> str:
    """A number as nft writes a class of a queueing discipline."""
    return f"{int(value) >> 16:x}:{int(value) & 0xFFFF:x}"


def _network(first: bytes, last: bytes) -> str:
    """The CIDR that begins and ends there."""
    size = int.from_bytes(last) - int.from_bytes(first) + 1
    return f"{socket.inet_ntoa(first)}/{33 - size.bit_length()}"


ADDRESS = Field(lambda value: socket.inet_aton(str(value)), str, socket.inet_ntoa)
PROTOCOL = Field(lambda value: bytes((PROTOCOLS[str(value)], 0, 0, 0)), str, _protocol_name)
PORT = Field(_pack_port, str, _read_port)
NUMBER = Field(_HOST.pack, str, _read_number)
MARK = Field(_HOST.pack, lambda value: f"{value:#010x}", _read_number)
HANDLE = Field(_HOST.pack, _handle, _read_number)  # what `meta priority` has room for
# the same where keys have ranges: the kernel compares those in the network's byte order
ORDERED_HANDLE = Field(_NETWORK.pack, _handle, lambda data: int(_NETWORK.unpack(data)[0]), _NETWORK.pack)
RANGE = Field(
    lambda value: ipaddress.IPv4Network(value).network_address.packed,
    str,
    socket.inet_ntoa,
    lambda value: ipaddress.IPv4Network(value).broadcast_address.packed,
    _network,
)
ADDRESSES = Field(
    lambda value: socket.inet_aton(_end(value, 0)),
    str,
    socket.inet_ntoa,
    lambda value: socket.inet_aton(_end(value, 1)),
    lambda first, last: f"{socket.inet_ntoa(first)}-{socket.inet_ntoa(last)}",
)
PORT_RANGE = Field(
    lambda value: _pack_port(int(_end(value, 0))),
    str,
    _read_port,
    lambda value: _pack_port(int(_end(value, 1))),
    lambda first, last: f"{_read_port(first)}-{_read_port(last)}",
)


@dataclass(frozen=True, slots=True)
class Map:
    """What the keys and data of a map (a set when it has no data) are made of."""

    key: tuple[Field, ...]
    data: tuple[Field, ...] = ()
    verdict: bool = False  # its data are chains to go to

    @property
    def ranges(self) -> bool:
        """Whether its keys have an end that differs from their beginning."""
        return any(one.last for one in self.key)


@dataclass(frozen=True, slots=True)
class Shape:
    """A table whose state is the elements of these maps."""

    table: str
    maps: Mapping[str, Map]

    def additions(self, elements: Elements) -> Iterator[str]:
        """nft's lines that add elements."""
        for (name, key), data in elements.items():
            spec = self.maps[name]
            text = _text(spec.key, key) + (f" : {_text(spec.data, data)}" if data else "")
            yield f"add element ip {self.table} {name} {{ {text} }}\n"


@dataclass(frozen=True, slots=True)
class Timed:
    """An element that goes by itself: after how long in all, and from now, in milliseconds."""

    key: Values
    data: Values
    timeout: int
    left: int


def pack(fields: tuple[Field, ...], values: Values) -> bytes:
    return b"".join([field.pack(value) for field, value in zip(fields, values, strict=True)])


def pack_last(fields: tuple[Field, ...], values: Values) -> bytes:
    """The end of a key that is a range."""
    return b"".join([(one.last or one.pack)(value) for one, value in zip(fields, values, strict=True)])


def unpack(fields: tuple[Field, ...], data: bytes) -> Values:
    return tuple(field.read(data[4 * i : 4 * i + 4]) for i, field in enumerate(fields))


def unpack_ranges(fields: tuple[Field, ...], first: bytes, last: bytes) -> Values:
    """A key whose ranges begin and end so."""
    parts = [(first[4 * i : 4 * i + 4], last[4 * i : 4 * i + 4]) for i in range(len(fields))]
    return tuple(
        field.span(*ends) if field.span else field.read(ends[0])
        for field, ends in zip(fields, parts, strict=True)
    )


def _text(fields: tuple[Field, ...], values: Values) -> str:
    return " . ".join(field.text(value) for field, value in zip(fields, values, strict=True))
