"""The kernel's word that addresses or routes of this host have changed (rtnetlink(7)): waited for, not
polled.

What is said is not believed, only that something was: who is woken looks for itself. Routes that mini8s makes
are passed over, or each pod that comes or goes would wake everybody.
"""

from __future__ import annotations

import errno
import select
import socket
from contextlib import suppress

from mini8s.agent.network.messages import payloads

PROTOCOL = 108  # of our routes; numbers from 5 up are free to use
_IPV4_ADDRESSES, _IPV4_ROUTES = 0x10, 0x40  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE
_IPV6_ADDRESSES = 0x100  # RTMGRP_IPV6_IFADDR; who loses a route has lost the address that it came with
_NEW_ROUTE, _DELETED_ROUTE = 24, 25
_ROUTE_PROTOCOL = 5  # where it is in rtmsg
_MOST_BYTES = 65536


class Changes:
    """Those of the network namespace that it was made in, from then on."""

    def __init__(self, *, ipv6: bool = False) -> None:
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._kernel.bind((0, _IPV4_ADDRESSES | _IPV4_ROUTES | (_IPV6_ADDRESSES if ipv6 else 0)))
        self._kernel.setblocking(False)
        self._ended, self._end = socket.socketpair()

    def wait(self) -> None:
        """Until there is one, or the end."""
        while not self._drained():
            ready, _, _ = select.select([self._kernel, self._ended], [], [])
            if self._ended in ready:
                return

    def end(self) -> None:
        """End all waiting, now and later."""
        with suppress(OSError):  # closed: that was the end
            self._end.send(b"!")

    def close(self) -> None:
        for sock in (self._kernel, self._ended, self._end):
            sock.close()

    def _drained(self) -> bool:
        """Whether what was waiting to be read counts."""
        counts = False
        while True:
            try:
                counts |= foreign(self._kernel.recv(_MOST_BYTES))
            except BlockingIOError:
                return counts
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                counts = True  # more than there was room for, so anything may have happened


def foreign(data: bytes) -> bool:
    """Whether these messages say more than that our own routes have changed. PURE."""
    return any(
        kind not in {_NEW_ROUTE, _DELETED_ROUTE} or body[_ROUTE_PROTOCOL] != PROTOCOL
        for kind, body in payloads(data)
    )
