"""Which hosts answer an echo request (RFC 792): by the kernel of each, so that it needs nothing of ours."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Collection
from contextlib import suppress

_REPLY, _REQUEST = 0, 8
_HEAD = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
_MOST_BYTES = 2048


def answering(addresses: Collection[str], *, seconds: float = 1.0, tries: int = 2) -> set[str]:
    """Those that answer within `seconds` of one of so many requests. Raises OSError when nobody can be
    asked."""
    found: set[str] = set()
    identifier = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        for number in range(tries):
            missing = set(addresses) - found
            for address in missing:
                with suppress(OSError):  # no way there: nobody answers
                    sock.sendto(_request(identifier, number), (address, 0))
            found |= _replies(sock, identifier, missing, seconds)
    return found


def _replies(sock: socket.socket, identifier: int, missing: Collection[str], seconds: float) -> set[str]:
    found: set[str] = set()
    end = time.monotonic() + seconds
    while len(found) < len(missing) and (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            packet, (address, _) = sock.recvfrom(_MOST_BYTES)
        except TimeoutError:
            break
        if address in missing and _answers(packet, identifier):
            found.add(address)
    return found


def _request(identifier: int, number: int) -> bytes:
    total = (_REQUEST << 8) + identifier + number
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF  # RFC 1071; three words carry once at the most
    return _HEAD.pack(_REQUEST, 0, checksum, identifier, number)


def _answers(packet: bytes, identifier: int) -> bool:
    """A raw socket is given the IP header too, and everybody's replies."""
    start = (packet[0] & 0x0F) * 4
    if len(packet) < start + _HEAD.size:
        return False
    kind, _, _, said, _ = _HEAD.unpack_from(packet, start)
    return bool(kind == _REPLY and said == identifier)
