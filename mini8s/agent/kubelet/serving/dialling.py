"""Connections to what listens on this node, for the server's proxy: the server has no road to pods, so the
agent dials for it and passes bytes on.

Nothing else can be reached this way but pods of this node and the node's own address. As in upstream's proxy,
TLS to a pod is encrypted and not verified: nobody could have told us by which name to know it.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from mini8s.agent.kubelet.serving.sessions import Agreed
from mini8s.agent.network.base import Ips
from mini8s.agent.streams.duct import Duct
from mini8s.agent.streams.relay import relay
from mini8s.objects.errors import BadRequest, NotFound, ServiceUnavailable
from mini8s.objects.kinds import Obj

CONNECT_SECONDS = 10.0
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Dials:
    """Raises ApiError."""

    def __init__(self, pod_of: Callable[[str, str], Obj | None], node_ips: Callable[[], Ips]) -> None:
        self._pod_of = pod_of
        self._node_ips = node_ips

    def pod(self, namespace: str, name: str, port: str, *, secure: bool) -> Agreed:
        pod = self._pod_of(namespace, name)
        if pod is None:
            raise NotFound(f'pods "{name}" not found', kind="pods", name=name)
        return _agreed((pod.get("status") or {}).get("podIP") or "", port, secure=secure)

    def node(self, port: str, *, secure: bool) -> Agreed:
        return _agreed(self._node_ips()[0], port, secure=secure)


def _agreed(address: str, port: str, *, secure: bool) -> Agreed:
    """Dialled before it is agreed to: who asks is to hear why it can't be."""
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    if not address or not 0 < number < 65536:
        raise BadRequest("address not allowed")
    target = Duct(_dial(address, number, secure=secure))
    return Agreed(HEAD, lambda client: relay(client, target))


def _dial(address: str, port: int, *, secure: bool) -> socket.socket:
    try:
        sock = socket.create_connection((address, port), CONNECT_SECONDS)
    except TimeoutError as error:
        raise ServiceUnavailable(f"dial tcp {address}:{port}: i/o timeout") from error
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ServiceUnavailable(f"dial tcp {address}:{port}: connect: {why}") from error
    if not secure:
        return sock
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return context.wrap_socket(sock)
    except OSError as error:
        sock.close()
        raise ServiceUnavailable(f"tls: {error}") from error
