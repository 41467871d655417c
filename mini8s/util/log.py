"""Logging as an operator reads it in the journal: level, room, sentence."""

from __future__ import annotations

import logging
import sys


def setup(level: str = "info") -> None:
    """Send every record to stderr; systemd adds the time, so the line only has it when stderr is a
    terminal."""
    stamp = "%(asctime)s " if sys.stderr.isatty() else ""
    logging.basicConfig(
        level=level.upper(),
        format=f"{stamp}%(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )


def set_level(level: str) -> None:
    logging.getLogger().setLevel(level.upper())


class OnChange:
    """Logs a cycle's sentence when it differs from the last one."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.sentence = ""

    def say(self, sentence: str) -> None:
        if sentence != self.sentence:
            self.sentence = sentence
            self._logger.info("%s", sentence)
