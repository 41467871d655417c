"""HTTP over a unix socket: the door of a Docker engine, and root's own door to mini8s."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path


class Door(http.client.HTTPConnection):
    """A connection to what listens on a unix socket."""

    def __init__(self, path: Path, timeout: float = 5) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
