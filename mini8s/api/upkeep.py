"""What an administrator asks of the server itself: a new key for what is encrypted on the disk, a new
certificate authority."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from mini8s.api.answer import Answer, json_answer
from mini8s.objects.errors import Conflict
from mini8s.objects.kinds import Obj

ROTATE_PATH = "/v1-mini8s/secrets/rotate"
AUTHORITY_PATH, FINISH_PATH = "/v1-mini8s/authority/rotate", "/v1-mini8s/authority/finish"


class Authorities(Protocol):
    def begin(self) -> Obj: ...

    def finish(self, *, force: bool) -> Obj: ...


@dataclass(slots=True)
class Upkeep:
    """`rotate` says how many stored values it rewrote."""

    rotate: Callable[[], int]
    authorities: Authorities
    busy: bool = False

    def rotated(self) -> Answer:
        with self._alone("a new key is being put to use already"):
            return json_answer({"rewritten": self.rotate()})

    def authority_begun(self) -> Answer:
        with self._alone("something else is being renewed: try again"):
            return json_answer(self.authorities.begin())

    def authority_finished(self, *, force: bool) -> Answer:
        with self._alone("something else is being renewed: try again"):
            return json_answer(self.authorities.finish(force=force))

    @contextmanager
    def _alone(self, why_not: str) -> Iterator[None]:
        """One at a time."""
        if self.busy:
            raise Conflict(why_not)
        self.busy = True
        try:
            yield
        finally:
            self.busy = False
