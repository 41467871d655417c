"""A node's agent as the API sees it: the tunnel is real, what answers on it is the test's."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from integration.api_process import ApiProcess

from mini8s.agent.kubelet.serving.streams import read_head
from mini8s.agent.tunnel import Tunnel
from mini8s.client.transport import Endpoint
from mini8s.util.workers import Stop

Answer = Callable[[socket.socket, str], None]  # the node's side of one stream: the socket, the request line


@contextmanager
def agent(api: ApiProcess, answer: Answer, user: str = "node", node: str = "n1") -> Iterator[None]:
    """An agent's tunnel; `answer` speaks for the kubelet."""

    def serve(sock: socket.socket, begun: bytes) -> None:
        with sock:
            answer(sock, read_head(sock, begun)[0].split(b"\r\n", 1)[0].decode())

    files = {name: str(api.folder / f"{user}.{name}") for name in ("crt", "key")}
    endpoint = Endpoint(
        url=api.url, ca_file=str(api.folder / "ca.crt"), cert_file=files["crt"], key_file=files["key"]
    )
    stop = Stop()
    tunnel = Tunnel(endpoint, node, serve, stop)
    tunnel.start()
    try:
        yield
    finally:
        stop.set()
        tunnel.stop()
