"""What a running process is told by its parent: settings that a reload has changed, a JSON object a line.

A pipe and not a file: nothing is left behind that a later start could take for true.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

Listener = Callable[[Mapping[str, Any]], None]


class News:
    """Made before the fork, for all children; each child subscribes and hears in its own process, in the
    thread that beats for it, so a listener must not wait."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._rest = b""

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def hear(self, data: bytes) -> None:
        """What came out of the pipe; half a line waits for its other half."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            for listener in self._listeners:
                try:
                    listener(said)
                except Exception:
                    log.exception("a reload was not followed here: restart the service")


def tell(fd: int, said: Mapping[str, Any]) -> bool:
    """Whether there was room: a child that hangs does not read, and is about to be started again anyway."""
    try:
        os.write(fd, json.dumps(said).encode() + b"\n")
    except (BlockingIOError, BrokenPipeError):
        return False
    return True
