"""PURE: which protocol a client's request asks for, and the head that agrees to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mini8s.agent.streams.websocket import accept_key
from mini8s.objects.errors import BadRequest, Forbidden

WEBSOCKET, SPDY = "websocket", "spdy/3.1"
COMMAND = {WEBSOCKET: ("v5.channel.k8s.io", "v4.channel.k8s.io"), SPDY: ("v4.channel.k8s.io",)}
SPDY_INSIDE = "SPDY/3.1+portforward.k8s.io"
FORWARD = {WEBSOCKET: (SPDY_INSIDE, "v4.channel.k8s.io"), SPDY: ("portforward.k8s.io",)}

Served = Mapping[str, Sequence[str]]


class Upgrade:
    """What was agreed on: `transport`, the `protocol` in it, and the `head` that says so."""

    def __init__(self, headers: Mapping[str, str], served: Served) -> None:
        """Header names in lower case. Raises BadRequest, Forbidden."""
        self.transport = headers.get("upgrade", "").lower()
        if self.transport not in served:
            raise BadRequest("Upgrade request required")
        offers = "sec-websocket-protocol" if self.transport == WEBSOCKET else "x-stream-protocol-version"
        offered = [word.strip() for word in headers.get(offers, "").split(",") if word.strip()]
        self.protocol = _agreed(offered, served[self.transport])
        self.head = self._head(headers, offers)

    def _head(self, headers: Mapping[str, str], offers: str) -> bytes:
        lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade"]
        if self.transport == WEBSOCKET:
            key = headers.get("sec-websocket-key", "")
            if not key:
                raise BadRequest("a WebSocket needs its Sec-WebSocket-Key")
            lines += ["Upgrade: websocket", f"Sec-WebSocket-Accept: {accept_key(key)}"]
        else:
            lines += ["Upgrade: SPDY/3.1"]
        return "\r\n".join([*lines, f"{offers.title()}: {self.protocol}", "", ""]).encode()


def _agreed(offered: Sequence[str], served: Sequence[str]) -> str:
    found = next((protocol for protocol in served if protocol in offered), "")
    if not found:
        said = f"client supports [{' '.join(offered)}], server accepts [{' '.join(served)}]"
        raise Forbidden(f"unable to upgrade: unable to negotiate protocol: {said}")
    return found
