"""One exec or attach: a client's channels on one side, a process's ends on the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mini8s.agent.runtime.base import Attached, EngineError
from mini8s.agent.streams.channels import Channels, Input, InputEnd, Resize, Said
from mini8s.agent.streams.duct import Duct, hung_up, wait
from mini8s.agent.streams.errors import ProtocolError, Vanished
from mini8s.objects.errors import ApiError, InternalError
from mini8s.wire.codec import encode_json

log = logging.getLogger(__name__)

OPENING_SECONDS = 30.0  # for the client to open what it announced: the kubelet's own
LINGER_SECONDS = 10.0  # for the client to take the last of it and hang up
_SUCCESS = {"metadata": {}, "status": "Success"}


class Command:
    """`start` begins the process (or joins the one that runs) once the client has opened all its channels.
    `coded`: its exit code is the client's answer."""

    def __init__(
        self, client: Duct, channels: Channels, start: Callable[[], Attached], *, coded: bool
    ) -> None:
        self._client = client
        self._channels = channels
        self._start = start
        self._coded = coded
        self._early: list[Said] = []

    def run(self) -> None:
        """Until the process has ended and the client knows, or the client is gone: an exec's process is then
        killed. Raises OSError, ProtocolError, EngineError."""
        self._open()
        try:
            attached = self._start()
        except EngineError as error:
            said = InternalError(f"Internal error occurred: error executing command in container: {error}")
            self._leave(said)
            return
        try:
            self._converse(attached, Duct(attached.sock, attached.begun))
            self._client.flush()
            code = attached.exit_code() if self._coded else 0
        except (OSError, ProtocolError):
            attached.abandon()
            raise
        finally:
            attached.close()
        self._leave(code)

    def _open(self) -> None:
        end = time.monotonic() + OPENING_SECONDS
        while not self._channels.complete:
            self._client.flush()
            if not wait({self._client: True}, end - time.monotonic()):
                raise Vanished("the client did not open its streams")
            self._early += self._heard()

    def _converse(self, attached: Attached, process: Duct) -> None:
        """Bytes both ways until the process's output ends; whoever is slow holds up the other."""
        for said in self._early:
            self._act(said, attached, process)
        while not process.ended:
            self._client.flush()
            self._feed(process)
            wishes = {self._client: not process.full, process: not self._client.full}
            ready = wait(wishes, watched=self._client)
            if process in ready and not self._client.full:
                for channel, piece in attached.pieces(process.take()):
                    self._channels.output(channel, piece)
            if self._client in ready:
                self._listen(attached, process)

    def _listen(self, attached: Attached, process: Duct) -> None:
        if process.full:
            if hung_up(self._client):
                raise Vanished("the client hung up")
            return
        for said in self._heard():
            self._act(said, attached, process)

    def _heard(self) -> list[Said]:
        said = list(self._channels.receive(self._client.take()))
        if self._client.ended or self._channels.left:
            raise Vanished("the client hung up")
        return said

    def _act(self, said: Said, attached: Attached, process: Duct) -> None:
        match said:
            case Input(data):
                process.put(data)
            case InputEnd():
                process.finish()
            case Resize(width, height):
                attached.resize(width, height)

    def _feed(self, process: Duct) -> None:
        """A process that reads no more is not at its end: it may still have much to say."""
        try:
            process.flush()
        except OSError as error:
            log.debug("a process takes no more input: %s", error)
            process.drop()

    def _leave(self, outcome: int | ApiError) -> None:
        """Say how it ended and wait for the client to hang up, so that nothing is cut off."""
        self._channels.finish(encode_json(_status(outcome)))
        end = time.monotonic() + LINGER_SECONDS
        while not (self._client.ended or self._channels.left) or self._client.waiting:
            self._client.flush()
            if not wait({self._client: True}, end - time.monotonic()):
                return
            self._drain()

    def _drain(self) -> None:
        """Only whether the client goes is of interest now."""
        for _ in self._channels.receive(self._client.take()):
            pass


def _status(outcome: int | ApiError) -> object:
    if isinstance(outcome, ApiError):
        return outcome.status()
    if not outcome:
        return _SUCCESS
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {outcome}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(outcome)}]},
    }
