"""A new authority for the cluster, asked of the running server: what is on the disk is `app.authority`'s,
here is what a server that goes on serving does about it.

It believes the new one before anybody is shown what that signed. Agents find by themselves that `/cacerts`
says something else than their own file, and renew; which of them have done so is noted with their keys, so
that the old one isn't given up while a host depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mini8s.app import certifying
from mini8s.app.admitting import Admitting
from mini8s.app.layout import server_files
from mini8s.app.renewal import Renewal
from mini8s.config import ServerSettings
from mini8s.objects.errors import Conflict
from mini8s.objects.kinds import Obj
from mini8s.wire import pem
from mini8s.wire.codec import decode_json


class Rotation:
    """`believe` has new handshakes follow the files."""

    def __init__(
        self, settings: ServerSettings, admitting: Admitting, renewal: Renewal, believe: Callable[[], None]
    ) -> None:
        question = {"data_dir": settings.data_dir, "seconds": settings.certificate_seconds}
        self._ca = server_files(settings.data_dir).ca
        self._child = partial(certifying.ask, question=question)
        self._admitting = admitting
        self._renewal = renewal
        self._believe = believe

    def begin(self) -> Obj:
        """Raises ServiceUnavailable; whoever asks again goes on where it ended."""
        return self._then_renewed("begin")

    def finish(self, *, force: bool) -> Obj:
        """Raises Conflict while nodes have certificates of the old authority, BadRequest when there is
        none."""
        newest = pem.fingerprint(pem.certificates(self._ca.read_bytes())[0])
        late = [] if force else self._admitting.of_other_authorities(newest)
        if late:
            raise Conflict(
                f"{', '.join(late)} would have to join anew: no new certificate was fetched since the "
                "authority changed (they do within a minute when they run; --force gives them up)"
            )
        return self._then_renewed("finish")

    def _then_renewed(self, what: str) -> Obj:
        said: Obj = decode_json(self._child("mini8s.app.rotate", arguments=(what,)))
        self._believe()
        self._renewal.step()
        self._believe()
        return said
