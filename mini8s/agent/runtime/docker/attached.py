"""A process's ends, taken over from the engine's HTTP.

The SDK hands such a socket out too, but loses what its buffered reader had read beyond the head: the first
words of a quick process. So the upgrade is written here.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from docker.utils import parse_host

from mini8s.agent.runtime.base import EngineDown, EngineError, NoSuchContainer
from mini8s.agent.runtime.docker import execs
from mini8s.agent.runtime.docker.errors import translated

STDOUT = 1
ANSWER_SECONDS = 30.0  # for the engine to answer an upgrade
ENDING_SECONDS = 5.0  # between the end of a process's output and the engine knowing its exit code
LONGEST_HEAD = 64 * 1024
# A sequence that nobody types: it would end the connection, and the engine can't be told to have none.
DETACH_KEYS = "ctrl-@,ctrl-_,ctrl-^,ctrl-@,ctrl-_"


class AttachedProcess:
    """Fulfils Attached. `exec_id` is empty for a container's own process."""

    def __init__(self, client: Any, sock: socket.socket, begun: bytes, *, tty: bool) -> None:
        self.sock, self.begun = sock, begun
        self._client = client
        self._tty = tty
        self._exec_id = self._container_id = ""
        self._head = b""  # of a piece, as far as it has come
        self._left, self._channel = 0, STDOUT  # of the piece that is coming

    @classmethod
    def of_exec(
        cls, client: Any, host: str, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> AttachedProcess:
        """Raises EngineError."""
        with translated(EngineError):
            created = client.exec_create(
                container_id, list(command), stdin=stdin, tty=tty, detach_keys=DETACH_KEYS
            )
        path = f"/exec/{created['Id']}/start"
        made = cls(client, *_upgraded(client, host, path, {"Detach": False, "Tty": tty}), tty=tty)
        made._exec_id = created["Id"]
        return made

    @classmethod
    def of_container(cls, client: Any, host: str, container_id: str, *, stdin: bool) -> AttachedProcess:
        """Raises EngineError."""
        with translated(EngineError):
            tty = bool(client.inspect_container(container_id)["Config"]["Tty"])
        query = {"stream": 1, "stdin": int(stdin), "stdout": 1, "stderr": 1, "detachKeys": DETACH_KEYS}
        path = f"/containers/{container_id}/attach?{urlencode(query)}"
        made = cls(client, *_upgraded(client, host, path, {}), tty=tty)
        made._container_id = container_id
        return made

    def pieces(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Without a terminal the engine puts a head before each piece: channel, three zeros, length."""
        if self._tty:
            if data:
                yield STDOUT, data
            return
        at = 0
        while at < len(data):
            if not self._left:
                wanted = execs.HEADER_BYTES - len(self._head)
                self._head += data[at : at + wanted]
                at += wanted
                if len(self._head) == execs.HEADER_BYTES:
                    self._channel, self._left = self._head[0], int.from_bytes(self._head[4:], "big")
                    self._head = b""
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            yield self._channel, piece

    def resize(self, width: int, height: int) -> None:
        if not self._tty:
            return
        with suppress(EngineError), translated(EngineError):  # it may have ended meanwhile
            if self._exec_id:
                self._client.exec_resize(self._exec_id, height, width)
            else:
                self._client.resize(self._container_id, height, width)

    def exit_code(self) -> int:
        end = time.monotonic() + ENDING_SECONDS
        while True:
            with translated(EngineError):
                said = self._client.exec_inspect(self._exec_id)
            if not said["Running"] and said["ExitCode"] is not None:
                return int(said["ExitCode"])
            if time.monotonic() > end:
                raise EngineError("its output has ended, but the engine has no exit code")
            time.sleep(0.01)

    def abandon(self) -> None:
        if self._exec_id:
            execs.kill(self._client, self._exec_id)

    def close(self) -> None:
        self.sock.close()


def _upgraded(client: Any, host: str, path: str, body: dict[str, Any]) -> tuple[socket.socket, bytes]:
    """A socket on which the engine has begun to speak plainly, and what was read of that. Raises
    EngineError."""
    content = json.dumps(body).encode()
    lines = [
        f"POST /v{client.api_version}{path} HTTP/1.1",
        "Host: docker",
        "Connection: Upgrade",
        "Upgrade: tcp",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    with ExitStack() as held:
        try:
            sock = held.enter_context(_connected(host))
            sock.sendall("\r\n".join([*lines, "", ""]).encode() + content)
            head, rest = _head(sock)
            status = int(head.split(b" ", 2)[1])
            if status not in {101, 200}:
                raise _refused(status, rest or sock.recv(LONGEST_HEAD))
        except (OSError, ValueError, IndexError) as error:
            raise EngineDown(f"the container engine doesn't answer: {error}") from error
        held.pop_all()
    sock.settimeout(None)
    return sock, rest


def _connected(host: str) -> socket.socket:
    url = urlsplit(parse_host(host))
    if url.scheme == "http+unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(ANSWER_SECONDS)
        try:
            sock.connect(url.path)
        except OSError:
            sock.close()
            raise
        return sock
    return socket.create_connection((url.hostname or "", url.port or 2375), ANSWER_SECONDS)


def _head(sock: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        if not piece or len(data) > LONGEST_HEAD:
            raise ConnectionError("it hung up")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _refused(status: int, body: bytes) -> EngineError:
    start, end = body.find(b"{"), body.rfind(b"}")
    message = json.loads(body[start : end + 1])["message"] if 0 <= start < end else f"status {status}"
    kind = NoSuchContainer if status == 404 else EngineError
    return kind(f"Error response from daemon: {message}")
