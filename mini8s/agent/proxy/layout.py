"""The shape of what lives in the kernel: constant chains, and maps that hold all state. PURE.

A front (an address and port that clients use) maps to a *mark*, one number that says everything about it:

    1 bit   no masquerade: the client's address is kept
    18 bits group: the set of endpoints to choose from
    13 bits class: 0x1000 session affinity + number of endpoints; 0 rejects, 0xfff drops

The class selects one of a few constant chains, which picks a slot of the group at random. The kernel's cost
of a change is therefore that of the elements that change, however many Services there are; a chain for each
Service would cost time in proportion to all of them. Chains are made a block of sizes at a time, when the
first group needs one, and stay.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

TABLE = "mini8s_proxy"

KEEP_CLIENT = 0x80000000
GROUP_SHIFT = 13
GROUP_MASK = 0x7FFFE000
GROUPS = 1 << 18
CLASS_MASK = 0x1FFF
AFFINITY = 0x1000
DROP = 0xFFF
REJECT = 0
MOST_ENDPOINTS = 0xFFE  # of one group: what the class has room for
STEP = 64  # sizes in a block of chains: they take 30 ms to make
AFFINITY_SECONDS = 10800  # Kubernetes' default of sessionAffinityConfig.clientIP.timeoutSeconds

FRONTS, NODE_PORTS, ENDPOINTS, HAIRPINS, LEARNED = "fe", "np", "eps", "hp", "aff"
INSIDE_FRONTS, INSIDE_PORTS = "fi", "ni"  # the same for clients inside the cluster, where they differ
HOST_FRONTS = "ha"  # host ports of one address, which counts only while it is this host's
HOST_PORTS = "hn"  # host ports of all addresses
GUARDED, SOURCES = "fw", "src"  # fronts that only some clients may use, and these clients' ranges
TIMEOUTS = "aft"  # the chain that learns clients of a group whose timeout is not the default

Value = str | int
Values = tuple[Value, ...]
Slot = tuple[str, int]  # where a packet may end: an address and a port
Place = tuple[str, Values]  # a map and a key in it
Elements = Mapping[Place, Values]  # data by place; a set's data is empty

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
_PORT, _HOST = struct.Struct(">HH"), struct.Struct("=I")


@dataclass(slots=True)
class Needs:
    """Which chains elements speak of: group sizes by block, and affinity timeouts in seconds."""

    blocks: set[int] = field(default_factory=set)
    timeouts: set[int] = field(default_factory=set)

    def size(self, endpoints: int) -> None:
        self.blocks.add((endpoints - 1) // STEP)


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a key or of data: how it is written in a message (4 bytes), in nft's language, and read.
    `last` is how the end of what is a range is written."""

    pack: Callable[[Value], bytes]
    text: Callable[[Value], str]
    read: Callable[[bytes], Value]
    last: Callable[[Value], bytes] | None = None


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
RANGE = Field(
    lambda value: ipaddress.IPv4Network(value).network_address.packed,
    str,
    socket.inet_ntoa,
    lambda value: ipaddress.IPv4Network(value).broadcast_address.packed,
)
LEARNER = Field(
    lambda value: f"t{value}".encode(), lambda value: f"goto t{value}", lambda data: int(data[1:])
)


@dataclass(frozen=True, slots=True)
class Map:
    """What the keys and data of a map (a set when it has no data) are made of."""

    key: tuple[Field, ...]
    data: tuple[Field, ...] = ()

    @property
    def verdict(self) -> bool:
        """Whether its data are chains to go to."""
        return self.data == (LEARNER,)

    @property
    def ranges(self) -> bool:
        """Whether its keys have an end that differs from their beginning."""
        return any(one.last for one in self.key)


MAPS: Mapping[str, Map] = {
    FRONTS: Map((ADDRESS, PROTOCOL, PORT), (MARK,)),
    INSIDE_FRONTS: Map((ADDRESS, PROTOCOL, PORT), (MARK,)),
    HOST_FRONTS: Map((ADDRESS, PROTOCOL, PORT), (MARK,)),
    NODE_PORTS: Map((PROTOCOL, PORT), (MARK,)),
    INSIDE_PORTS: Map((PROTOCOL, PORT), (MARK,)),
    HOST_PORTS: Map((PROTOCOL, PORT), (MARK,)),
    GUARDED: Map((ADDRESS, PROTOCOL, PORT)),
    SOURCES: Map((ADDRESS, PROTOCOL, PORT, RANGE)),
    ENDPOINTS: Map((MARK, NUMBER), (ADDRESS, PORT)),
    HAIRPINS: Map((ADDRESS, ADDRESS)),
    TIMEOUTS: Map((MARK,), (LEARNER,)),
    LEARNED: Map((MARK, ADDRESS), (ADDRESS, PORT)),
}


def pack(fields: tuple[Field, ...], values: Values) -> bytes:
    return b"".join([field.pack(value) for field, value in zip(fields, values, strict=True)])


def pack_last(fields: tuple[Field, ...], values: Values) -> bytes:
    """The end of a key that is a range."""
    return b"".join([(one.last or one.pack)(value) for one, value in zip(fields, values, strict=True)])


def unpack(fields: tuple[Field, ...], data: bytes) -> Values:
    return tuple(field.read(data[4 * i : 4 * i + 4]) for i, field in enumerate(fields))


def unpack_ranges(fields: tuple[Field, ...], first: bytes, last: bytes) -> Values:
    """A key whose last part is a range that begins and ends so."""
    begin, end = ipaddress.IPv4Address(first[-4:]), ipaddress.IPv4Address(last[-4:])
    network = next(ipaddress.summarize_address_range(begin, end))
    return (*unpack(fields[:-1], first[:-4]), str(network))


def mark(group: int, kind: int, *, keep_client: bool = False) -> int:
    """The number a front maps to; `kind` is its class."""
    return (KEEP_CLIENT if keep_client else 0) | group << GROUP_SHIFT | kind
