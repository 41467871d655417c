"""Renewing certificates while everything runs: `app/renew.py` is started when one is due.

Files are replaced, nothing is restarted: clients read theirs for each new connection, the server loads its
own into the context that new handshakes use, and connections that are open go on with what they began with.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from threading import Lock

from mini8s.config import NodeSettings
from mini8s.util.backoff import Backoff
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

LEAST_SECONDS, MOST_SECONDS = 1.0, 3600.0  # between two looks; a clock may be set in between
RUN_SECONDS = 60.0
LOOK_SECONDS = 60.0  # how late an agent may learn of a new authority


class Renewal:
    """`role`: server or agent."""

    def __init__(self, role: str, settings: NodeSettings) -> None:
        self._command = [sys.executable, "-m", "mini8s.app.renew", role]
        self._settings = encode_json(asdict(settings))
        self._backoff = Backoff(first=2.0, most=300.0)
        self._turn = Lock()  # one child at a time: they write the same files
        self._due = 0.0

    def change(self, settings: NodeSettings) -> None:
        """What certificates are to say from now on."""
        self._settings = encode_json(asdict(settings))

    def step(self) -> float:
        """Renew what is due; seconds until the next look."""
        return self._run()

    def look(self, changed: Callable[[], bool]) -> float:
        """Renew what is due, and everything when the authority is another; seconds until the next look."""
        left = self._due - time.monotonic()
        if left <= 0:
            return min(self.step(), LOOK_SECONDS)
        if not changed():
            return min(left, LOOK_SECONDS)
        return min(self._run("again"), LOOK_SECONDS)

    def _run(self, *more: str) -> float:
        with self._turn:
            wait = self._child(*more)
        self._due = time.monotonic() + wait
        return wait

    def _child(self, *more: str) -> float:
        try:
            done = subprocess.run(
                [*self._command, *more],
                input=self._settings,
                capture_output=True,
                timeout=RUN_SECONDS,
                check=True,
            )
            left = float(done.stdout)
        except subprocess.CalledProcessError as error:
            return self._failed(error.stderr.decode(errors="replace").strip().rpartition("\n")[2])
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            return self._failed(str(error))
        self._backoff.succeeded()
        return min(max(left, LEAST_SECONDS), MOST_SECONDS)

    def _failed(self, why: str) -> float:
        wait = self._backoff.failed()
        log.warning("certificates not renewed: %s; next try in %.1f s", why, wait)
        return wait
