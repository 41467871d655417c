"""One object served in several versions: a row of `objects.kinds` per version, one of them the stored one.

Everything behind the machine's door (rules, admission, store, watch) knows the stored version only; what
comes in and goes out in another version passes here. A conversion loses nothing: what a version has no field
for travels in annotations. To add one: its two functions in a file here, and a line below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from mini8s.objects.kinds import AUTOSCALERS_V1, EVENTS_V1, Kind, Obj
from mini8s.registry import incoming
from mini8s.registry.base import Context
from mini8s.registry.versions import autoscalers, events
from mini8s.wire.codec import decode_json, encode_json

Convert = Callable[[Obj], Obj]


@dataclass(frozen=True, slots=True)
class Conversion:
    """Between the stored object and the one that a further version shows. Neither changes what it gets."""

    show: Convert
    store: Convert


CONVERSIONS: Mapping[Kind, Conversion] = {
    EVENTS_V1: Conversion(events.show, events.store),
    AUTOSCALERS_V1: Conversion(autoscalers.show, autoscalers.store),
}


def to_store(ctx: Context, kind: Kind, obj: Obj) -> Obj:
    """What a client sent in this version, as the stored kind. Raises BadRequest in the version's words."""
    if kind.storage is None:
        return obj
    return _named(kind.storage, CONVERSIONS[kind].store(incoming.parse(ctx, kind, obj)))


def speaking(ctx: Context, kind: Kind) -> Context:
    """The circumstances of a request in this version: it may ask more of an object than the stored one."""
    return ctx if kind.storage is None else replace(ctx, version=kind)


def stated(kind: Kind, config: Obj) -> Obj:
    """What an applied configuration, which is a part of an object, says in the stored version."""
    if kind.storage is None:
        return config
    whole = config | {"metadata": config.get("metadata") or {}}
    return _named(kind.storage, CONVERSIONS[kind].store(whole))


def shown(kind: Kind, obj: Obj) -> Obj:
    """A stored object in this version."""
    return obj if kind.storage is None else _named(kind, CONVERSIONS[kind].show(obj))


def shown_bytes(kind: Kind, value: bytes) -> bytes:
    """The same of final bytes."""
    return value if kind.storage is None else _shown_bytes(kind, value)


@lru_cache(maxsize=128)
def _shown_bytes(kind: Kind, value: bytes) -> bytes:
    """Made once for all that watch: they share the bytes."""
    return encode_json(shown(kind, decode_json(value)))


def _named(kind: Kind, obj: Obj) -> Obj:
    rest = {part: value for part, value in obj.items() if part not in {"kind", "apiVersion"}}
    return {"kind": kind.kind, "apiVersion": kind.api_version} | rest
