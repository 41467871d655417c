"""A controller's contract: what it watches, which keys a change touches, and what to do about a key.

A handler only puts keys on a queue; `plan` reads everything again from the caches and hands what it found to
a pure function. So it never matters which change woke it, or how many were missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mini8s.client.base import Api
from mini8s.client.cache import Cache, IndexFunction
from mini8s.client.informer import Informers
from mini8s.controllers.actions import Plan
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import meta
from mini8s.objects.kinds import Kind, Obj
from mini8s.util.clock import Clock

Changed = Callable[[Obj | None, Obj | None], Iterable[str]]  # (old, new) -> keys to look at


@dataclass(frozen=True, slots=True)
class Source:
    """A kind that a controller watches. `metadata_only`: the rest of the objects need not be cached;
    `fields`: only those that this field selector chooses."""

    kind: Kind
    changed: Changed
    metadata_only: bool = False
    fields: str = ""


class Controller(Protocol):
    name: str

    @property
    def sources(self) -> Sequence[Source]: ...

    def plan(self, key: str) -> Plan:
        """What to do about a key, from the caches as they are now. May raise what the API raises."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a controller is made with."""

    api: Api
    informers: Informers
    clock: Clock
    settings: ControllerSettings

    def cache(
        self, kind: Kind, indexers: Mapping[str, IndexFunction] | None = None, *, fields: str = ""
    ) -> Cache:
        return self.informers.of(kind, indexers=indexers, fields=fields).cache

    def metadata(self, kind: Kind, indexers: Mapping[str, IndexFunction] | None = None) -> Cache:
        """A cache that needs no more than metadata of each object."""
        return self.informers.of(kind, indexers=indexers, keep=metadata_of).cache


def metadata_of(obj: Obj) -> Obj:
    return {key: obj[key] for key in ("apiVersion", "kind", "metadata") if key in obj}


def by_object(keys: Callable[[Obj], Iterable[str]]) -> Changed:
    """The keys of an object before and after its change."""

    def changed(old: Obj | None, new: Obj | None) -> Iterable[str]:
        return {key for obj in (old, new) if obj is not None for key in keys(obj)}

    return changed


def own_key(obj: Obj) -> Iterable[str]:
    return (meta.key(obj),)


def controller_key(owner: Kind) -> Callable[[Obj], Iterable[str]]:
    """The key of the `owner` kind's object that controls an object."""

    def keys(obj: Obj) -> Iterable[str]:
        ref = meta.controller_ref(obj)
        if ref and (ref["apiVersion"], ref["kind"]) == (owner.api_version, owner.kind):
            yield f"{meta.namespace(obj)}/{ref['name']}"

    return keys
