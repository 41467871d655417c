"""What elements of nftables' maps are made of, and how they are written and read. PURE.

A room that keeps its state in map elements says once which fields its maps have (a `Shape`); `nft` turns
elements into messages by it.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mini8s.agent.network.family import IPV4, Family

Value = str | int
Values = tuple[Value, ...]
Place = tuple[str, Values]  # a map and a key in it
Elements = Mapping[Place, Values]  # data by place; a set's data is empty

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_PORT, _HOST, _NETWORK = struct.Struct(">HH"), struct.Struct("=I"), struct.Struct(">I")
_SHORT = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a key or of data: how it is written in a message (`size` bytes), in nft's language, and
    read. `last` is how the end of what is a range is written."""

    pack: Callable[[Value], bytes]
    text: Callable[[Value], str]
    read: Callable[[bytes], Value]
    last: Callable[[Value], bytes] | None = None
    span: Callable[[bytes, bytes], Value] | None = None  # how a range is read
    size: int = 4


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


def _pack6(value: Value) -> bytes:
    return socket.inet_pton(socket.AF_INET6, str(value))


def _read6(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, data)


def _network6(first: bytes, last: bytes) -> str:
    size = int.from_bytes(last) - int.from_bytes(first) + 1
    return f"{_read6(first)}/{129 - size.bit_length()}"


ADDRESS = Field(lambda value: socket.inet_aton(str(value)), str, socket.inet_ntoa)
PROTOCOL = Field(lambda value: bytes((PROTOCOLS[str(value)], 0, 0, 0)), str, _protocol_name)
PORT = Field(_pack_port, str, _read_port)
# where it is all there is: within a concatenation each part has 4 bytes
ONLY_PORT = Field(_SHORT.pack, str, lambda data: int(_SHORT.unpack(data)[0]), size=2)
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
ADDRESS6 = Field(_pack6, str, _read6, size=16)
RANGE6 = Field(
    lambda value: ipaddress.IPv6Network(value).network_address.packed,
    str,
    _read6,
    lambda value: ipaddress.IPv6Network(value).broadcast_address.packed,
    _network6,
    size=16,
)
ADDRESSES6 = Field(
    lambda value: _pack6(_end(value, 0)),
    str,
    _read6,
    lambda value: _pack6(_end(value, 1)),
    lambda first, last: f"{_read6(first)}-{_read6(last)}",
    size=16,
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
    key_size: int = field(init=False)  # in bytes
    data_size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_size", sum(one.size for one in self.key))
        object.__setattr__(self, "data_size", sum(one.size for one in self.data))

    @property
    def ranges(self) -> bool:
        """Whether its keys have an end that differs from their beginning."""
        return any(one.last for one in self.key)


@dataclass(frozen=True, slots=True)
class Shape:
    """A table whose state is the elements of these maps."""

    table: str
    maps: Mapping[str, Map]
    family: Family = IPV4

    def additions(self, elements: Elements) -> Iterator[str]:
        """nft's lines that add elements."""
        for (name, key), data in elements.items():
            spec = self.maps[name]
            text = _text(spec.key, key) + (f" : {_text(spec.data, data)}" if data else "")
            yield f"add element {self.family.nft} {self.table} {name} {{ {text} }}\n"


@dataclass(frozen=True, slots=True)
class Timed:
    """An element that goes by itself: after how long in all, and from now, in milliseconds."""

    key: Values
    data: Values
    timeout: int
    left: int


def pack(fields: tuple[Field, ...], values: Values) -> bytes:
    return b"".join([one.pack(value) for one, value in zip(fields, values, strict=True)])


def pack_last(fields: tuple[Field, ...], values: Values) -> bytes:
    """The end of a key that is a range."""
    return b"".join([(one.last or one.pack)(value) for one, value in zip(fields, values, strict=True)])


def unpack(fields: tuple[Field, ...], data: bytes) -> Values:
    found, begin = [], 0
    for one in fields:
        found.append(one.read(data[begin : begin + one.size]))
        begin += one.size
    return tuple(found)


def unpack_ranges(fields: tuple[Field, ...], first: bytes, last: bytes) -> Values:
    """A key whose ranges begin and end so."""
    found, begin = [], 0
    for one in fields:
        ends = first[begin : begin + one.size], last[begin : begin + one.size]
        found.append(one.span(*ends) if one.span else one.read(ends[0]))
        begin += one.size
    return tuple(found)


def _text(fields: tuple[Field, ...], values: Values) -> str:
    return " . ".join(one.text(value) for one, value in zip(fields, values, strict=True))


def addresses_of(family: Family) -> tuple[Field, Field, Field]:
    """How an address, a range in CIDR, and a range of first and last of the family are written."""
    return (ADDRESS, RANGE, ADDRESSES) if family is IPV4 else (ADDRESS6, RANGE6, ADDRESSES6)
