"""A cause, how it is shown, and what may be asked to find one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mini8s.objects import meta
from mini8s.objects.kinds import Kind, Obj

MOST = 5  # causes of one kind that are shown; the rest are counted


@dataclass(frozen=True, slots=True)
class Cause:
    """`well`: there is nothing to mend."""

    about: str  # pod/web
    sentence: str
    because: Sequence[Cause] = field(default_factory=tuple)
    well: bool = False

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The sentence, and indented below it what is behind it."""
        yield f"{'  ' * depth}{self.about}: {self.sentence}"
        for cause in self.because[:MOST]:
            yield from cause.lines(depth + 1)
        if len(self.because) > MOST:
            yield f"{'  ' * (depth + 1)}and {len(self.because) - MOST} more"


class World(Protocol):
    """The cluster as the API shows it."""

    def get(self, kind: Kind, namespace: str, name: str) -> Obj | None: ...

    def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Sequence[Obj]: ...

    def events(self, obj: Obj) -> Sequence[Obj]:
        """About this object, the newest first."""


def said(world: World, obj: Obj, *reasons: str) -> str:
    """What the newest event with one of these reasons says; "" when there is none."""
    return next(
        (
            str(event.get("message", "")).strip()
            for event in world.events(obj)
            if event.get("reason") in reasons
        ),
        "",
    )


def title(obj: Obj) -> str:
    return f"{str(obj.get('kind', '')).lower()}/{meta.name(obj)}"


def count(number: int, noun: str) -> str:
    """`1 pod`, `3 pods`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ended(text: str) -> str:
    """Without the full stop that a message may bring."""
    return text.strip().rstrip(".")
