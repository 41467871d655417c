"""The address of the link that leads out: by asking the kernel for the route, which every process may."""

from __future__ import annotations

import socket

from mini8s.objects import ip

# TEST-NET-2 (RFC 5737) and the documentation prefix (RFC 3849); a UDP connect only asks for the route
_ELSEWHERE = {
    ip.IPV4: (socket.AF_INET, "198.51.100.1"),
    ip.IPV6: (socket.AF_INET6, "2001:db8::1"),
}


def address(family: str = ip.IPV4) -> str:
    """The address that packets to elsewhere leave with, empty when no way leads there."""
    number, elsewhere = _ELSEWHERE[family]
    try:
        with socket.socket(number, socket.SOCK_DGRAM) as sock:
            sock.connect((elsewhere, 9))
            return str(sock.getsockname()[0])
    except OSError:
        return ""
