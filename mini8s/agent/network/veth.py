"""A pod's veth, made and set up by raw rtnetlink(7): one send for each end of it.

A start waits for this, and a library's sockets and message classes take longer over it than the kernel does.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mini8s.agent.network import netns, sysctl
from mini8s.agent.network.messages import (
    ACK,
    CREATE,
    ERROR,
    HEADER,
    REQUEST,
    attribute,
    code,
    nested,
    payloads,
)

GATEWAY = "169.254.1.1"  # of every pod; never put on the host, where masquerade would take it for a source
_MAC = b"\xee" * 6  # of every gateway
_LINK_SCOPE = 253
_PERMANENT = 0x80
_NEW_LINK, _REMOVE_LINK, _SET_LINK, _NEW_ADDRESS, _NEW_ROUTE, _NEW_NEIGHBOUR = 16, 17, 19, 20, 24, 28
_REPLACE, _EXCLUSIVE = 0x100, 0x200
_LINK = struct.Struct("=BBHiII")  # family, -, type, index, flags, which flags
_ADDRESS = struct.Struct("=BBBBi")  # family, length of the prefix, flags, scope, link
_ROUTE = struct.Struct("=BBBBBBBBI")  # family, length, source's, tos, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=BBHiHBB")  # family, -, -, link, state, flags, type
_NUMBER = struct.Struct("=I")
_UP, _MAIN, _UNICAST, _STATIC = 1, 254, 1, 4
_LOOPBACK = 1

Message = tuple[str, int, int, bytes]  # what it is for, its type, flags, body


@dataclass(frozen=True, slots=True)
class Pod:
    """`link` is the name of the host's end, `pid` the first process of the pod's sandbox."""

    link: str
    alias: str
    pid: int
    address: str
    mtu: int


def add(pod: Pod, protocol: int) -> None:
    """The pair, up at both ends, with the pod's address and its ways out, and last the route to it: a link
    with a route is a pod that is ready. A link of that name gives way. Raises OSError."""
    with _socket() as host:
        made = [_pair(pod), ("naming it", _SET_LINK, 0, _named(pod))]
        try:
            _ask(host, made)
        except FileExistsError:
            old = _LINK.pack(0, 0, 0, 0, 0, 0) + _text(3, pod.link)
            _ask(host, [("the link before it", _REMOVE_LINK, 0, old), *made])
        # a pod that reaches itself through a Service comes in and leaves by one link: that is no cause for a
        # redirect
        sysctl.switch(f"conf/{pod.link}/send_redirects", 0)
        netns.inside(f"/proc/{pod.pid}/ns/net", lambda: _plumb(pod.address))
        way = _route(pod.address, 32, socket.if_nametoindex(pod.link), protocol=protocol)
        _ask(host, [("the route to it", _NEW_ROUTE, CREATE | _REPLACE, way)])


def _plumb(address: str) -> None:
    eth0 = socket.if_nametoindex("eth0")
    gateway = _NEIGHBOUR.pack(socket.AF_INET, 0, 0, eth0, _PERMANENT, 0, 0)
    gateway += attribute(1, _ip(GATEWAY)) + attribute(2, _MAC)
    own = (
        _ADDRESS.pack(socket.AF_INET, 32, 0, 0, eth0)
        + attribute(1, _ip(address))
        + attribute(2, _ip(address))
    )
    with _socket() as pod:
        _ask(
            pod,
            [
                ("its loopback", _SET_LINK, 0, _up(_LOOPBACK)),
                ("its address", _NEW_ADDRESS, CREATE | _EXCLUSIVE, own),
                ("its end of the link", _SET_LINK, 0, _up(eth0)),
                ("the way to its gateway", _NEW_ROUTE, CREATE, _route(GATEWAY, 32, eth0)),
                ("its gateway", _NEW_NEIGHBOUR, CREATE, gateway),
                ("its way out", _NEW_ROUTE, CREATE, _route("", 0, eth0, gateway=GATEWAY)),
            ],
        )


def _pair(pod: Pod) -> Message:
    width = attribute(4, _NUMBER.pack(pod.mtu))
    peer = _LINK.pack(0, 0, 0, 0, 0, 0) + _text(3, "eth0") + width + attribute(19, _NUMBER.pack(pod.pid))
    kind = _text(1, "veth") + nested(2, nested(1, peer))
    body = _LINK.pack(0, 0, 0, 0, 0, 0) + _text(3, pod.link) + attribute(1, _MAC) + width + nested(18, kind)
    return "its link", _NEW_LINK, CREATE | _EXCLUSIVE, body


def _named(pod: Pod) -> bytes:
    return _LINK.pack(0, 0, 0, 0, _UP, _UP) + _text(3, pod.link) + _text(20, pod.alias)


def _up(index: int) -> bytes:
    return _LINK.pack(0, 0, 0, index, _UP, _UP)


def _route(to: str, length: int, link: int, *, gateway: str = "", protocol: int = _STATIC) -> bytes:
    scope = 0 if gateway else _LINK_SCOPE
    head = _ROUTE.pack(socket.AF_INET, length, 0, 0, _MAIN, protocol, scope, _UNICAST, 0)
    told = (attribute(1, _ip(to)) if to else b"") + attribute(4, _NUMBER.pack(link))
    return head + told + (attribute(5, _ip(gateway)) if gateway else b"")


def _ip(address: str) -> bytes:
    return socket.inet_aton(address)


def _text(type: int, text: str) -> bytes:
    return attribute(type, text.encode() + b"\0")


def _socket() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    opened.bind((0, 0))
    return opened


def _ask(opened: socket.socket, messages: Sequence[Message]) -> None:
    """Send them together; the kernel does one after the other and answers each."""
    opened.send(b"".join(_packed(number, message) for number, message in enumerate(messages)))
    numbers: list[int] = []
    while len(numbers) < len(messages):
        for kind, payload in payloads(opened.recv(65536)):
            if kind == ERROR:
                numbers.append(code(payload))
    for number, message in zip(numbers, messages, strict=True):
        if number:
            raise OSError(number, f"{message[0]}: {os.strerror(number)}")


def _packed(number: int, message: Message) -> bytes:
    _, kind, flags, body = message
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | ACK | flags, number, 0) + body
