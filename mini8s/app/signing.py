"""Signatures for tokens, from a child that lives as long as tokens are asked for.

A pod that starts asks for one, a rollout for many; in between there are hours. So the child is started for
the first, kept for a while, and ended: `cryptography` and the key cost no memory in the API. Beside gevent
only: `hub.patch` must have run.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from threading import Lock
from typing import IO, Any, cast

import gevent

from mini8s.objects.errors import ServiceUnavailable
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

KEEP_SECONDS = 20.0  # the burst of a rollout has pauses; a child costs 0.1 s to start and 20 MB to keep
SIGN_SECONDS = 10.0
END_SECONDS = 2.0


class TokenSigner:
    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._turn = Lock()  # guards the child: one question and its answer at a time
        self._used = 0

    def sign(self, claims: dict[str, Any]) -> str:
        """The token. Raises ServiceUnavailable when the child does not answer."""
        line = encode_json(claims) + b"\n"
        with self._turn:
            self._used += 1
            answer = self._try(line) or self._try(line)  # a child may have died since its last answer
        if not answer:
            raise ServiceUnavailable("no token could be signed")
        gevent.spawn_later(KEEP_SECONDS, self._end_unused, self._used)
        return answer.decode().strip()

    def prepare(self) -> None:
        """Start the child, if there is none: somebody will ask soon, and need not wait for it then."""
        if self._child is None and not self._turn.locked():
            gevent.spawn(self._start)

    def close(self) -> None:
        with self._turn:
            self._end()

    def _try(self, line: bytes) -> bytes:
        """Empty for a failure, after which the next one starts afresh."""
        answer = b""
        try:
            with gevent.Timeout(SIGN_SECONDS, TimeoutError()):
                answer = self._ask(line)
        except OSError as error:
            log.warning("the signer of tokens failed: %s", error or type(error).__name__)
        if answer.endswith(b"\n"):
            return answer
        self._end()
        return b""

    def _ask(self, line: bytes) -> bytes:
        child = self._running()
        stdin, stdout = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
        stdin.write(line)
        stdin.flush()
        return stdout.readline()

    def _running(self) -> subprocess.Popen[bytes]:
        child = self._child
        if child is None or child.poll() is not None:
            self._end()
            child = self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True
            )
        return child

    def _start(self) -> None:
        with self._turn:
            try:
                self._running()
            except OSError as error:
                log.warning("the signer of tokens cannot start: %s", error)
                return
        gevent.spawn_later(KEEP_SECONDS, self._end_unused, self._used)

    def _end_unused(self, used: int) -> None:
        with self._turn:
            if used == self._used:  # nobody asked since
                self._end()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()  # it holds nothing that an end could harm
        child.wait(END_SECONDS)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def token_signer(data_dir: str) -> TokenSigner:
    return TokenSigner([sys.executable, "-m", "mini8s.app.token_signer", data_dir])
