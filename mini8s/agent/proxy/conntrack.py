"""Forgetting UDP connections that went to endpoints which are gone.

The kernel remembers for each UDP client where its first packet went, and sends all that follow there too.
When endpoints leave Services, those memories are removed with one dump a round, however many they are: the
kernel leaves out what is not UDP of the family (and all but a front that is alone), and what it tells is read
at fixed offsets, 2 µs an entry and less. The layout is `ctnetlink_fill_info`'s of Linux: the original tuple
first, then the reply's, each of addresses, protocol and ports.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from mini8s.agent.network.family import IPV4, Family
from mini8s.agent.network.messages import (
    ATTRIBUTE,
    DONE,
    DUMP,
    ERROR,
    HEADER,
    NETFILTER,
    REQUEST,
    attribute,
    attributes,
    code,
    nested,
    nfnetlink,
    payloads,
    places,
)
from mini8s.agent.proxy.plan import Flow

PATIENCE_SECONDS = 5  # with a kernel that says nothing
_SUBSYSTEM, _GET, _DELETE = 1, 1, 2
_ORIGINAL, _REPLY, _ZONE, _FILTER = 1, 2, 18, 25  # an entry's attributes, CTA_*
_IP, _PROTOCOL = 1, 2  # a tuple's
_BY_TARGET, _BY_PROTOCOL, _BY_PORT = 1 << 1, 1 << 3, 1 << 5  # what the kernel is to compare
_SO_RCVTIMEO, _SO_RCVBUFFORCE = 20, 33
_BUFFER = 1 << 18
_CHUNK = 60_000  # bytes of deletions in one call

_BODY = 20  # where an entry's attributes begin
_TO_IPV4 = 2  # CTA_IP_V4_DST


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where things are in entries whose addresses have `size` bytes. A tuple is, after its own head: the head
    of what holds the addresses, and each with a head; the head of what holds the rest, and protocol and
    ports, of 8 bytes with their heads."""

    size: int

    @property
    def tuple(self) -> int:
        return 44 + 2 * self.size

    @property
    def target(self) -> int:
        """To which address the client sent; then, how far behind it the port is."""
        return _BODY + 16 + self.size

    @property
    def to_target_port(self) -> int:
        return self.size + 24

    @property
    def source(self) -> int:
        """Who answers, in the second tuple."""
        return _BODY + self.tuple + 12

    @property
    def to_source_port(self) -> int:
        return 2 * self.size + 20

    @property
    def protocol(self) -> int:
        """In a tuple without its head."""
        return 20 + 2 * self.size


class ConntrackError(Exception):
    """The kernel did not give or take entries of its connection table."""


class Connections:
    """The kernel's connection table. It stays open, because closing an nfnetlink socket takes the kernel
    16 ms. One thread at a time."""

    def __init__(self, family: Family = IPV4) -> None:
        self._family, self._at = family, _Layout(family.bits // 8)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVTIMEO, struct.pack("@ll", PATIENCE_SECONDS, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
        self._number = 0  # of the last question: what is left of the answer to one that failed is passed over

    def close(self) -> None:
        self._socket.close()

    def clear(self, flows: Set[Flow]) -> int:
        """Forget these; how many there were. Raises ConntrackError."""
        return self._forget(flows, lambda meanings: not meanings.isdisjoint(flows))

    def keep(self, flows: Set[Flow]) -> int:
        """Forget all that went from these flows' fronts elsewhere than they say. Raises ConntrackError."""
        return self._forget(flows, lambda meanings: meanings.isdisjoint(flows))

    def _forget(self, flows: Set[Flow], wrong: Callable[[Set[Flow]], bool]) -> int:
        """Forget the wrong ones among the entries of these flows' fronts."""
        fronts = {(flow.address, flow.port) for flow in flows}
        if not fronts:
            return 0
        try:
            return self._delete(list(self._found(fronts, wrong)))
        except OSError as error:
            raise ConntrackError(f"the kernel's connection table: {error}") from error

    def _found(self, fronts: Set[tuple[str, int]], wrong: Callable[[Set[Flow]], bool]) -> Iterator[bytes]:
        """The original tuples of the wrong ones, out of the one dump. Many clients go one way: each way is
        judged once."""
        at, size, length = self._at, self._at.size, self._at.tuple
        exact = {self._packed(address) + port.to_bytes(2) for address, port in fronts if address}
        ports = {port.to_bytes(2) for address, port in fronts if not address}
        judged = functools.cache(lambda way: wrong(self._meanings(way)))
        self._socket.send(self._message(_GET, REQUEST | DUMP, self._wanted(fronts)))
        for data, begin in self._answer():
            target = _place(data, begin + at.target, size, at.to_target_port)
            ours = target in exact or target[size:] in ports
            if not ours:
                continue
            source = _place(data, begin + at.source, size, at.to_source_port)
            if judged(target + source) and self._is_plain(data, begin):
                yield data[begin + _BODY : begin + _BODY + length]

    def _delete(self, tuples: Sequence[bytes]) -> int:
        """The kernel works inside send(), and speaks only of what it could not delete."""
        size = _CHUNK // (_BODY + self._at.tuple)
        missed = 0
        for first in range(0, len(tuples), size):
            chunk = tuples[first : first + size]
            self._socket.send(b"".join(self._message(_DELETE, REQUEST, one) for one in chunk))
            missed += self._missed()
        return len(tuples) - missed

    def _missed(self) -> int:
        """How many ended by themselves meanwhile."""
        missed = 0
        while True:
            try:
                data = self._socket.recv(_BUFFER, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return missed
            for kind, payload in payloads(data):
                said = code(payload) if kind == ERROR else 0
                if said not in (0, errno.ENOENT):
                    raise OSError(said, os.strerror(said))
                missed += bool(said)

    def _message(self, type: int, flags: int, body: bytes) -> bytes:
        self._number += 1
        number = self._number & 0xFFFFFFFF
        return nfnetlink(_SUBSYSTEM << 8 | type, flags, number, body, family=self._family.number)

    def _answer(self) -> Iterator[tuple[bytes, int]]:
        """The entries of a dump: the bytes that hold one, and where it begins."""
        while True:
            data = self._socket.recv(_BUFFER)
            for kind, begin, end in places(data):
                if HEADER.unpack_from(data, begin)[3] != self._number & 0xFFFFFFFF:
                    continue
                if kind == DONE:
                    return
                if kind == ERROR:
                    said = code(data[begin + HEADER.size : end])
                    raise OSError(said, os.strerror(said))
                yield data, begin

    def _wanted(self, fronts: Set[tuple[str, int]]) -> bytes:
        """What the kernel is to look for (CTA_FILTER, Linux 5.8). An older one knows no such attribute and
        tells all, so what it tells is judged again. Of IPv6 addresses it tells just those that are not asked
        for (`ctnetlink_filter_match_tuple`, still so in 6.18), so it isn't asked for any."""
        addresses, ports = {address for address, _ in fronts}, {port for _, port in fronts}
        flags, place, protocol = _BY_PROTOCOL, b"", attribute(1, bytes([socket.IPPROTO_UDP]))
        if len(addresses) == 1 and "" not in addresses and self._family is IPV4:
            flags |= _BY_TARGET
            place = nested(_IP, attribute(_TO_IPV4, self._packed(*addresses)))
        if len(ports) == 1:
            flags |= _BY_PORT
            protocol += attribute(3, next(iter(ports)).to_bytes(2))
        place += nested(_PROTOCOL, protocol)
        flagged = attribute(1, struct.pack("=I", flags)) + attribute(2, bytes(4))
        return nested(_ORIGINAL, place) + nested(_FILTER, flagged)

    def _meanings(self, way: bytes) -> Set[Flow]:
        """The flows that connections of a way may be of: of an address, or of a node port."""
        half = len(way) // 2
        target, source = self._read(way[:half]), self._read(way[half:])
        slot = None if source == target else source
        return {Flow("udp", target[0], target[1], slot), Flow("udp", "", target[1], slot)}

    def _is_plain(self, data: bytes, begin: int) -> bool:
        """Whether it is UDP of the family and of no zone; others are nobody's of ours, and their places
        aren't these."""
        at = self._at
        parts = dict(attributes(data[begin + _BODY : begin + HEADER.unpack_from(data, begin)[0]]))
        fits = all(len(parts.get(one, b"")) == at.tuple - ATTRIBUTE.size for one in (_ORIGINAL, _REPLY))
        return fits and _ZONE not in parts and parts[_ORIGINAL][at.protocol] == socket.IPPROTO_UDP

    def _packed(self, address: str) -> bytes:
        return socket.inet_pton(self._family.number, address)

    def _read(self, place: bytes) -> tuple[str, int]:
        return socket.inet_ntop(self._family.number, place[:-2]), int.from_bytes(place[-2:])


def _place(data: bytes, at: int, size: int, to_port: int) -> bytes:
    """An address and the port that belongs to it."""
    return data[at : at + size] + data[at + to_port : at + to_port + 2]
