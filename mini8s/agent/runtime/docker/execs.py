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

from docker.utils.socket import frames_iter

from mini8s.agent.runtime.base import EngineError, ExecResult
from mini8s.agent.runtime.docker.errors import translated

MOST_OUTPUT = 10 * 1024


def run(client: Any, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
    """Raises TimeoutError, EngineError."""
    with translated(EngineError):
        exec_id = client.exec_create(container_id, list(command))["Id"]
        stream = client.exec_start(exec_id, socket=True)
    try:
        output = _read(stream, time.monotonic() + timeout_seconds)
    except TimeoutError:
        _kill(client, exec_id)
        raise
    finally:
        stream.close()
    with translated(EngineError):
        return ExecResult(int(client.exec_inspect(exec_id)["ExitCode"] or 0), output)


def _read(stream: Any, end: float) -> bytes:
    """Everything until the command ends; what is more than enough is read and dropped."""
    sock = getattr(stream, "_sock", stream)
    output = b""
    sock.settimeout(max(0.001, end - time.monotonic()))
    for _, piece in frames_iter(stream, tty=False):
        output = (output + piece)[:MOST_OUTPUT]
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
    return output


def _kill(client: Any, exec_id: str) -> None:
    with translated(EngineError):
        pid = client.exec_inspect(exec_id).get("Pid") or 0
    if pid > 0:
        with suppress(ProcessLookupError, PermissionError):  # it ended meanwhile, or the engine is elsewhere
            os.kill(pid, signal.SIGKILL)
