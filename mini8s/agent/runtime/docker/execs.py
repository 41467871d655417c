"""Running a command in a container, with an end to its patience.

The engine has no way to stop what was started so: when the time is up, the process is killed by its number
on the host.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mini8s.agent.runtime.base import EngineError
from mini8s.agent.runtime.docker.errors import translated
from mini8s.agent.runtime.records import ExecResult

MOST_OUTPUT = 10 * 1024
HEADER_BYTES = 8


def run(client: Any, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
    """Raises TimeoutError, EngineError."""
    with translated(EngineError):
        exec_id = client.exec_create(container_id, list(command))["Id"]
        stream = client.exec_start(exec_id, socket=True)
    try:
        output = _read(stream, time.monotonic() + timeout_seconds)
    except TimeoutError:
        kill(client, exec_id)
        raise
    finally:
        _socket(stream).close()
        stream.close()
    with translated(EngineError):
        return ExecResult(int(client.exec_inspect(exec_id)["ExitCode"] or 0), output)


def _read(stream: Any, end: float) -> bytes:
    """Everything until the command ends; what is more than enough is read and dropped. The SDK's own reader
    waits without a limit, so the frames (stream, length, bytes) are read here."""
    sock, output, left = _socket(stream), b"", 0
    while True:
        piece = _receive(sock, left or HEADER_BYTES, end, whole=not left)
        if not piece:
            return output
        if left:
            left -= len(piece)
            output = (output + piece)[:MOST_OUTPUT]
        else:
            left = int.from_bytes(piece[4:HEADER_BYTES], "big")


def _receive(sock: Any, most: int, end: float, *, whole: bool) -> bytes:
    """What comes next, or with `whole` exactly so much; b"" at the end. Raises TimeoutError."""
    got = b""
    while not got or (whole and len(got) < most):
        sock.settimeout(max(0.001, end - time.monotonic()))
        piece: bytes = sock.recv(most - len(got))
        if not piece:
            return b""
        got += piece
    return got


def _socket(stream: Any) -> Any:
    """The SDK hands out the socket or a file around it; closing the file leaves the socket open."""
    return getattr(stream, "_sock", stream)


def kill(client: Any, exec_id: str) -> None:
    """End what was started, if it still runs. Raises EngineError."""
    with translated(EngineError):
        pid = client.exec_inspect(exec_id).get("Pid") or 0
    if pid > 0:
        with suppress(ProcessLookupError, PermissionError):  # it ended meanwhile, or the engine is elsewhere
            os.kill(pid, signal.SIGKILL)
