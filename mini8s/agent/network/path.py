"""How large a packet may be on the way to another host: found, not guessed.

A link says how large its packets are, a router on the way may take only smaller ones. It says so to who sends
a packet that must not be cut (RFC 1191), and the kernel remembers it for ten minutes. So one such packet, as
large as the link allows, is sent to each host now and then: to the tunnel's port, where it is nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from contextlib import suppress

from mini8s.agent.network.plan import TUNNEL_PORT
from mini8s.objects import ip

_PMTUDISC_DO = 2
_PMTUDISC_PROBE = 3  # as large as the link allows, whatever is known of the way
# family of sockets, level, IP_MTU_DISCOVER, IP_MTU (linux/in.h, linux/in6.h), bytes of IP's and UDP's headers
_WORDS = {
    ip.IPV4: (socket.AF_INET, socket.IPPROTO_IP, 10, 14, 28),
    ip.IPV6: (socket.AF_INET6, socket.IPPROTO_IPV6, 23, 24, 48),
}
ANSWER_SECONDS = 0.2  # routers on the way answer at once


def narrow(addresses: Iterable[str], link: int) -> dict[str, int]:
    """The largest packet to those of these hosts to which less goes than the link takes."""
    asked = list(addresses)
    for address in asked:
        _probe(address, link)
    if asked:
        time.sleep(ANSWER_SECONDS)
    known = {address: _known(address) for address in asked}
    return {address: mtu for address, mtu in known.items() if 0 < mtu < link}


def _probe(address: str, size: int) -> None:
    """Send a packet as large as the link; nowhere when no way leads there."""
    family, level, discover, _, headers = _WORDS[ip.family(address)]
    with socket.socket(family, socket.SOCK_DGRAM) as sock, suppress(OSError):
        sock.setsockopt(level, discover, _PMTUDISC_PROBE)
        sock.sendto(bytes(size - headers), (address, TUNNEL_PORT))


def _known(address: str) -> int:
    """What the kernel has learned; 0 when no way leads there."""
    family, level, discover, mtu, _ = _WORDS[ip.family(address)]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(level, discover, _PMTUDISC_DO)
        try:
            sock.connect((address, TUNNEL_PORT))
            return sock.getsockopt(level, mtu)
        except OSError:
            return 0
