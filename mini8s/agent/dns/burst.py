"""Datagrams in bursts: one system call takes all that wait, another sends all answers.

recvmmsg and sendmmsg cost a third of a call for each datagram; Python doesn't have them, so they are called
through ctypes. Where the C library lacks them, `Plain` does the same one by one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from typing import Any, Protocol

MOST = 64  # datagrams in a burst
ROOM = 2048  # bytes for one: more than EDNS lets anybody send us
WAIT_SECONDS = 1.0  # how soon a stop is seen
_NAMES = {socket.AF_INET: 16, socket.AF_INET6: 28}  # bytes of a socket address
_WAIT_FOR_ONE = 0x10000

Address = tuple[Any, ...]  # of a socket: in front of all, host and port
Fast = Callable[[bytes], bytes | None]
Slow = Callable[[bytes, Address], None]


class Exchange(Protocol):
    def round(self, fast: Fast, slow: Slow) -> int:
        """Wait for datagrams, send what `fast` answers, give the others to `slow`; how many came."""


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class _Buffers:
    """Room for a burst: bytes, addresses, and the headers that point to them."""

    def __init__(self, name: int) -> None:
        """`name`: bytes of an address."""
        self.data = bytearray(MOST * ROOM)
        self.names = bytearray(MOST * name)
        self._data = (ctypes.c_char * len(self.data)).from_buffer(self.data)
        self._names = (ctypes.c_char * len(self.names)).from_buffer(self.names)
        self.name_base = ctypes.addressof(self._names)
        self._pieces = (_Piece * MOST)()
        self.messages = (_Message * MOST)()
        self.pieces = list(self._pieces)  # indexing a ctypes array makes a new object each time
        self.headers = []
        for i in range(MOST):
            self._pieces[i].base = ctypes.addressof(self._data) + i * ROOM
            self._pieces[i].length = ROOM
            header = self.messages[i].header
            header.pieces = ctypes.pointer(self._pieces[i])
            header.piece_count = 1
            header.name, header.name_length = self.name_base + i * name, name
            self.headers.append(header)
        self.lengths = list(self.messages)


class Burst:
    """The fast way. One thread uses it."""

    def __init__(self, sock: socket.socket) -> None:
        """Raises AttributeError when the C library has no such calls."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._receive, self._send = libc.recvmmsg, libc.sendmmsg
        seconds = int(WAIT_SECONDS).to_bytes(8, "little") + bytes(8)
        if ctypes.sizeof(ctypes.c_long) == 8:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds[:4] + bytes(4))
        self._descriptor = sock.fileno()
        self._family, self._name = sock.family, _NAMES[sock.family]
        self._in, self._out = _Buffers(self._name), _Buffers(self._name)
        self._seen = memoryview(self._in.data)
        self._told = memoryview(self._out.data)
        self._whose = [
            -1
        ] * MOST  # the datagram whose sender each answer goes to, which is mostly the same one

    def round(self, fast: Fast, slow: Slow) -> int:
        count = self._receive(self._descriptor, self._in.messages, MOST, _WAIT_FOR_ONE, None)
        if count < 0:
            return _failed()
        seen, told, whose = self._seen, self._told, self._whose
        lengths, pieces = self._in.lengths, self._out.pieces
        answers = 0
        for i in range(count):
            start = i * ROOM
            query = seen[start : start + lengths[i].length].tobytes()
            answer = fast(query)
            if answer is None:
                slow(query, self._address(i))
                continue
            size, room = len(answer), answers * ROOM
            told[room : room + size] = answer
            pieces[answers].length = size
            if whose[answers] != i:
                whose[answers] = i
                self._out.headers[answers].name = self._in.name_base + i * self._name
            answers += 1
        self._send_first(answers)
        return int(count)

    def _send_first(self, count: int) -> None:
        """The kernel stops at the first that it refuses (sendmmsg(2)), as one to port 0: that one is lost, as
        datagrams are, and not those behind it."""
        sent = 0
        while sent < count:
            start = ctypes.byref(self._out.messages, sent * ctypes.sizeof(_Message))
            sent += max(1, self._send(self._descriptor, start, count - sent, 0))

    def _address(self, i: int) -> Address:
        name = bytes(self._in.names[i * self._name : (i + 1) * self._name])
        host = name[4:8] if self._family == socket.AF_INET else name[8:24]
        return socket.inet_ntop(self._family, host), int.from_bytes(name[2:4], "big")


class Plain:
    """One by one, with what Python has."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.settimeout(WAIT_SECONDS)

    def round(self, fast: Fast, slow: Slow) -> int:
        try:
            query, address = self._socket.recvfrom(ROOM)
        except TimeoutError:
            return 0
        answer = fast(query)
        if answer is None:
            slow(query, address)
        else:
            self._socket.sendto(answer, address)
        return 1


def exchange(sock: socket.socket) -> Exchange:
    """The best way that this host has."""
    try:
        return Burst(sock)
    except AttributeError:
        return Plain(sock)


def _failed() -> int:
    """Nothing came in time, or a signal did; anything else is raised."""
    number = ctypes.get_errno()
    if number in (errno.EAGAIN, errno.EINTR):
        return 0
    raise OSError(number, os.strerror(number))
