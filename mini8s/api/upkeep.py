"""What an administrator asks of the server itself: a new key for what is encrypted on the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mini8s.api.answer import Answer, json_answer
from mini8s.objects.errors import Conflict

ROTATE_PATH = "/v1-mini8s/secrets/rotate"


@dataclass(slots=True)
class Upkeep:
    """`rotate` says how many stored values it rewrote."""

    rotate: Callable[[], int]
    busy: bool = False

    def rotated(self) -> Answer:
        """One at a time."""
        if self.busy:
            raise Conflict("a new key is being put to use already")
        self.busy = True
        try:
            return json_answer({"rewritten": self.rotate()})
        finally:
            self.busy = False
