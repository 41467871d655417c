"""What a container leaves to be read in its status: its termination message file, or the end of its log."""

from __future__ import annotations

import logging
from pathlib import Path

from mini8s.agent.runtime.base import EngineDown, EngineError, Runtime
from mini8s.agent.runtime.records import Container
from mini8s.objects.kinds import Obj

log = logging.getLogger(__name__)

MOST_BYTES = 4096
LOG_LINES, LOG_BYTES = 80, 2048
DEFAULT_PATH = "/dev/termination-log"


def read(path: Path, spec: Obj, ended: Container, runtime: Runtime) -> str:
    """The message; the log counts only when asked for and the container failed without a word. Raises
    EngineDown."""
    words = _tail(path)
    falls_back = spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
    if words or not falls_back or not ended.exit_code:
        return words
    try:
        end = b""
        for piece in runtime.logs(ended.id, tail=LOG_LINES):  # lines may be of any length
            end = (end + piece)[-LOG_BYTES:]
    except EngineDown:
        raise
    except EngineError as error:
        log.warning("cannot read the log of %s for its last words: %s", ended.name, error)
        return ""
    return end.decode(errors="replace")


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""
