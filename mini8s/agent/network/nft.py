"""nf_tables transactions over one raw netlink socket.

The kernel applies a batch of messages as a whole or not at all. They are encoded here with `struct`: going
through a library's message classes costs ten times as much, and the `nft` command a process and 16 ms a
change. Only the constant skeleton goes in as text. The socket stays open, because closing an nfnetlink
socket takes the kernel 16 ms.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
from collections.abc import Iterable, Iterator

from mini8s.agent.network.elements import (
    Elements,
    Map,
    Place,
    Shape,
    Timed,
    Values,
    pack,
    pack_last,
    unpack,
    unpack_ranges,
)
from mini8s.agent.network.messages import (
    ACK,
    ATTRIBUTE,
    CREATE,
    DONE,
    DUMP,
    ERROR,
    NESTED,
    NETFILTER,
    REQUEST,
    attribute,
    attributes,
    code,
    nested,
    nfnetlink,
    payloads,
)
from mini8s.agent.network.ruleset import RulesetError

_SUBSYSTEM = 10  # nf_tables' number within nfnetlink
_BEGIN, _END = 0x10, 0x11
_GET_CHAIN, _NEW_ELEMENT, _GET_ELEMENTS, _DELETE_ELEMENT = 4, 12, 13, 14
_CHUNK = 60_000  # a nested attribute's length is 16 bits
_SOL_NETLINK, _CAP_ACK, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 270, 10, 32, 33

_KEY, _DATA, _TIMEOUT, _LEFT, _KEY_END = 1, 2, 4, 5, 10  # an element's attributes
_GOTO = -4  # a verdict's code

_CODE = struct.Struct(">i")
_MILLISECONDS = struct.Struct(">Q")


def _string(type: int, text: str) -> bytes:
    return attribute(type, text.encode() + b"\0")


@functools.cache
def _frame(key: int, data: int) -> tuple[bytes, bytes]:
    """What surrounds the key and the data, of so many bytes, of every element of a map: their lengths never
    differ."""
    whole = 12 + key + (8 + data if data else 0)
    head = (
        ATTRIBUTE.pack(whole, 1 | NESTED) + ATTRIBUTE.pack(key + 8, 1 | NESTED) + ATTRIBUTE.pack(key + 4, 1)
    )
    return head, ATTRIBUTE.pack(data + 8, 2 | NESTED) + ATTRIBUTE.pack(data + 4, 1)


def _odd_element(spec: Map, key: Values, data: Values) -> bytes:
    """An element whose parts have no fixed length: a key that is a range, data that is a chain to go to."""
    body = nested(_KEY, attribute(1, pack(spec.key, key)))
    if spec.ranges:
        body += nested(_KEY_END, attribute(1, pack_last(spec.key, key)))
    if data and not spec.verdict:
        body += nested(_DATA, attribute(1, pack(spec.data, data)))
    elif data:
        verdict = attribute(1, _CODE.pack(_GOTO)) + attribute(2, pack(spec.data, data) + b"\0")
        body += nested(_DATA, nested(2, verdict))
    return nested(1, body)


class Batch:
    """One transaction in the making."""

    def __init__(self, shape: Shape) -> None:
        self._table, self._maps, self._family = shape.table, shape.maps, shape.family.number
        self._parts: list[bytes] = []
        self._message(_BEGIN, REQUEST, b"", family=0, resource=_SUBSYSTEM)

    def clear(self, name: str) -> None:
        """Empty a map."""
        self._element_message(_DELETE_ELEMENT, name, [])

    def remove(self, name: str, keys: Iterable[Values]) -> None:
        self._in_chunks(_DELETE_ELEMENT, name, (self._element(name, key, ()) for key in keys))

    def add(self, name: str, elements: Iterable[tuple[Values, Values]]) -> None:
        self._in_chunks(_NEW_ELEMENT, name, (self._element(name, key, data) for key, data in elements))

    def add_timed(self, name: str, elements: Iterable[Timed]) -> None:
        """Add elements for the time that they have left."""
        spec = self._maps[name]
        written = (
            nested(
                1,
                nested(_KEY, attribute(1, pack(spec.key, one.key)))
                + nested(_DATA, attribute(1, pack(spec.data, one.data)))
                + attribute(_TIMEOUT, _MILLISECONDS.pack(one.timeout))
                + attribute(_LEFT, _MILLISECONDS.pack(one.left)),
            )
            for one in elements
        )
        self._in_chunks(_NEW_ELEMENT, name, written)

    def finish(self) -> bytes:
        self._message(_END, REQUEST, b"", family=0, resource=_SUBSYSTEM)
        return b"".join(self._parts)

    def _element(self, name: str, key: Values, data: Values) -> bytes:
        spec = self._maps[name]
        if spec.verdict or spec.ranges:
            return _odd_element(spec, key, data)
        head, middle = _frame(spec.key_size, spec.data_size if data else 0)
        if not data:
            return head + pack(spec.key, key)
        return head + pack(spec.key, key) + middle + pack(spec.data, data)

    def _in_chunks(self, type: int, name: str, elements: Iterable[bytes]) -> None:
        chunk: list[bytes] = []
        size = 0
        for element in elements:
            if size + len(element) > _CHUNK:
                self._element_message(type, name, chunk)
                chunk, size = [], 0
            chunk.append(element)
            size += len(element)
        if chunk:
            self._element_message(type, name, chunk)

    def _element_message(self, type: int, name: str, elements: list[bytes]) -> None:
        body = _string(1, self._table) + _string(2, name)
        if elements:
            body += nested(3, b"".join(elements))
        flags = REQUEST | (CREATE if type == _NEW_ELEMENT else 0)
        self._message(_SUBSYSTEM << 8 | type, flags, body, family=self._family, resource=0)

    def _message(self, type: int, flags: int, body: bytes, *, family: int, resource: int) -> None:
        number = len(self._parts) + 1
        self._parts.append(nfnetlink(type, flags, number, body, family=family, resource=resource))


class Nft:
    """The connection to the kernel's nf_tables, for one table. One thread at a time."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 8 << 20)
        self._send_buffer = 0

    def close(self) -> None:
        self._socket.close()

    def batch(self) -> Batch:
        """A transaction to fill."""
        return Batch(self._shape)

    def emptied(self, elements: Elements) -> Batch:
        """A transaction that makes these all the elements there are."""
        batch = self.batch()
        for name in self._shape.maps:
            batch.clear(name)
        _fill(batch, elements)
        return batch

    def replace(self, elements: Elements) -> None:
        """Make these all the elements there are."""
        self.commit(self.emptied(elements))

    def change(self, remove: Iterable[Place], add: Elements) -> None:
        """Removals come first: adding a key that exists with other data would be refused."""
        batch = self.batch()
        gone = list(remove)
        for name in self._shape.maps:
            keys = [key for place, key in gone if place == name]
            if keys:
                batch.remove(name, keys)
        _fill(batch, add)
        self.commit(batch)

    def commit(self, batch: Batch) -> None:
        """Raises RulesetError, and then nothing has changed."""
        data = batch.finish()
        if len(data) > self._send_buffer:
            self._send_buffer = len(data) + (1 << 20)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, self._send_buffer)
        try:
            self._socket.send(data)
        except OSError as error:
            raise RulesetError(f"nf_tables did not take a transaction: {error}") from error
        self._raise_errors()

    def elements(self, name: str) -> dict[Values, Values]:
        """What the kernel holds in a map."""
        spec = self._shape.maps[name]
        return dict(_key_and_data(spec, parts) for parts in self._dump(name))

    def timed(self, name: str, usual: int) -> list[Timed]:
        """The elements of a map with timeouts. The kernel does not tell a timeout that is the map's own: it
        is `usual`, in milliseconds."""
        spec, own = self._shape.maps[name], _MILLISECONDS.pack(usual)
        found = []
        for parts in self._dump(name):
            times = (int(_MILLISECONDS.unpack(parts.get(one, own))[0]) for one in (_TIMEOUT, _LEFT))
            found.append(Timed(*_key_and_data(spec, parts), *times))
        return found

    def has_chain(self, name: str) -> bool:
        body = _string(1, self._shape.table) + _string(3, name)
        self._ask(_GET_CHAIN, REQUEST | ACK, body)
        for kind, payload in self._messages():
            if kind == ERROR:
                return code(payload) == 0
        return True

    def chains(self) -> list[tuple[int, dict[int, bytes]]]:
        """Family and attributes of all chains of all tables. (`nft list chains` reads rules as well, and
        stumbles over ours.) All of the answer is read: the next question must not meet the rest of it."""
        self._ask(_GET_CHAIN, REQUEST | DUMP, b"", family=0)
        found = []
        for kind, payload in self._messages():
            if kind == ERROR and code(payload):
                raise RulesetError(f"nf_tables: {os.strerror(code(payload))}")
            found.append((payload[0], dict(attributes(payload[4:]))))
        return found

    def _raise_errors(self) -> None:
        """The kernel runs a batch inside send(), so its answers are queued by now."""
        failures = []
        while True:
            try:
                data = self._socket.recv(1 << 17, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            failures += [code(payload) for kind, payload in payloads(data) if kind == ERROR and code(payload)]
        if failures:
            names = ", ".join(sorted({errno.errorcode.get(one, str(one)) for one in failures}))
            raise RulesetError(f"nf_tables refused {len(failures)} messages of a transaction: {names}")

    def _ask(self, type: int, flags: int, body: bytes, family: int | None = None) -> None:
        number = self._shape.family.number if family is None else family
        self._socket.send(nfnetlink(_SUBSYSTEM << 8 | type, flags, 1, body, family=number))

    def _dump(self, name: str) -> Iterator[dict[int, bytes]]:
        """The attributes of each element of a map."""
        self._ask(_GET_ELEMENTS, REQUEST | DUMP, _string(1, self._shape.table) + _string(2, name))
        for kind, payload in self._messages():
            if kind == ERROR and code(payload):
                raise RulesetError(f"nf_tables: {os.strerror(code(payload))}")
            for part, data in attributes(payload[4:]):
                if part == 3:
                    yield from (dict(attributes(element)) for _, element in attributes(data))

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """The messages of one answer, up to the one that ends it."""
        while True:
            for kind, payload in payloads(self._socket.recv(1 << 18)):
                if kind == DONE:
                    return
                yield kind, payload
                if kind == ERROR:
                    return


def _fill(batch: Batch, elements: Elements) -> None:
    sorted_out: dict[str, list[tuple[Values, Values]]] = {}
    for (name, key), data in elements.items():
        sorted_out.setdefault(name, []).append((key, data))
    for name, members in sorted_out.items():
        batch.add(name, members)


def _key_and_data(spec: Map, parts: dict[int, bytes]) -> tuple[Values, Values]:
    first = _value(parts[_KEY])
    key = unpack_ranges(spec.key, first, _value(parts[_KEY_END])) if spec.ranges else unpack(spec.key, first)
    if spec.verdict:
        verdict = dict(attributes(dict(attributes(parts[_DATA]))[2]))
        return key, (spec.data[0].read(verdict[2].rstrip(b"\0")),)
    return key, unpack(spec.data, _value(parts[_DATA])) if spec.data else ()


def _value(data: bytes) -> bytes:
    return dict(attributes(data)).get(1, b"")
