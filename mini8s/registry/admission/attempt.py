"""What an admission plugin is told of a change that somebody tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mini8s.objects.kinds import PODS, Kind, Obj
from mini8s.registry.base import Context


class World(Protocol):
    """Other objects, as they are now."""

    def find(self, kind: Kind, namespace: str, name: str) -> Obj | None: ...

    def all(self, kind: Kind, namespace: str) -> Sequence[Obj]: ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """`obj` is the object as it would be, of a deletion as it is; plugins may fill in fields of it."""

    operation: str  # CREATE | UPDATE | DELETE
    ctx: Context
    kind: Kind
    namespace: str
    name: str
    obj: Obj
    world: World
    subresource: str = ""
    old: Obj | None = None  # of an update

    def creates(self, *kinds: Kind) -> bool:
        return self.kind in kinds and self.operation == "CREATE" and not self.subresource

    @property
    def resizes_pod(self) -> bool:
        return self.kind is PODS and self.subresource == "resize"

    @property
    def creates_pod(self) -> bool:
        return self.creates(PODS)

    @property
    def spec(self) -> dict[str, Any]:
        """The object's spec, made when it has none."""
        made: dict[str, Any] = self.obj.setdefault("spec", {})
        return made
