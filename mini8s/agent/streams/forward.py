"""One port-forward: a client on one side, connections to ports of the pod on the other."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from mini8s.agent.streams.duct import Duct, hung_up, wait
from mini8s.agent.streams.errors import Vanished
from mini8s.agent.streams.forwarding import Bytes, Connect, Finished, Forwarding, Wish

MOST_CONNECTIONS = 512  # of one client; each is a descriptor

Dial = Callable[[int], socket.socket]  # a connection to a port of the pod; raises OSError


class Forward:
    """`whose` names the pod in what is said of a port that doesn't answer."""

    def __init__(self, client: Duct, forwarding: Forwarding, dial: Dial, whose: str) -> None:
        self._client = client
        self._forwarding = forwarding
        self._dial = dial
        self._whose = whose
        self._ports: dict[int, Duct] = {}

    def run(self) -> None:
        """Until the client leaves. Raises OSError, ProtocolError."""
        try:
            self._take(self._client.take())
            while not (self._client.ended or self._forwarding.left):
                self._turn()
        finally:
            for duct in self._ports.values():
                duct.close()

    def _turn(self) -> None:
        """A slow client holds up all ports, and a slow port the client: there is one road for all of them."""
        self._client.flush()
        stuck = any(duct.full for duct in self._ports.values())
        hears = dict.fromkeys(self._ports.values(), not self._client.full) | {self._client: not stuck}
        ready = wait(hears, watched=self._client)
        for key, duct in list(self._ports.items()):
            if duct in ready:
                self._serve(key, duct, hears=hears[duct])
        if self._client in ready:
            if not stuck:
                self._take(self._client.take())
            elif hung_up(self._client):
                raise Vanished("the client hung up")

    def _serve(self, key: int, duct: Duct, *, hears: bool) -> None:
        try:
            duct.flush()
            data = duct.take() if hears else b""
        except OSError as error:
            self._end(key, f"error forwarding to pod {self._whose}: {error}")
            return
        if data:
            self._forwarding.send(key, data)
        elif duct.ended:
            self._end(key)

    def _take(self, data: bytes) -> None:
        for wish in self._forwarding.receive(data):
            self._act(wish)
        for key, duct in list(self._ports.items()):
            if duct.waiting:
                self._serve(key, duct, hears=False)

    def _act(self, wish: Wish) -> None:
        match wish:
            case Connect(key, port):
                self._connect(key, port)
            case Bytes(key, data) if key in self._ports:
                self._ports[key].put(data)
            case Finished(key, reset=True) if key in self._ports:
                self._end(key)
            case Finished(key) if key in self._ports:
                self._ports[key].finish()
                self._serve(key, self._ports[key], hears=False)

    def _connect(self, key: int, port: int) -> None:
        try:
            if len(self._ports) >= MOST_CONNECTIONS:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            self._ports[key] = Duct(self._dial(port))
        except OSError as error:
            said = f"dial tcp4 127.0.0.1:{port}: connect: {(error.strerror or str(error)).lower()}"
            self._forwarding.end(
                key,
                f"error forwarding port {port} to pod {self._whose}: failed to connect to localhost:{port} "
                f"inside namespace: {said}",
            )

    def _end(self, key: int, error: str = "") -> None:
        self._ports.pop(key).close()
        self._forwarding.end(key, error)
