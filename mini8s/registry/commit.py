"""The last step of every write: bytes that hold their own revision go to the store; in a dry run nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mini8s.objects import meta
from mini8s.objects.errors import ServiceUnavailable
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry import refusals
from mini8s.registry.allocators import Allocators
from mini8s.registry.base import Context
from mini8s.registry.strategy import Strategy
from mini8s.store.base import Encode, Mismatch, Row, Store, Unavailable
from mini8s.wire.codec import encode_json

_TRIES = 50  # times in a row lost to others; who is that unlucky is told so
Answer = TypeVar("Answer")


def until_stored(kind: Kind, name: str, attempt: Callable[[], Answer]) -> Answer:
    """Repeat what reads a row and writes it until no other writer came between."""
    for _ in range(_TRIES):
        try:
            return attempt()
        except Mismatch:
            continue
    raise refusals.conflict(kind, name)


class Committer:
    def __init__(self, store: Store, allocators: Allocators) -> None:
        self._store = store
        self._allocators = allocators

    def put(self, ctx: Context, strategy: Strategy, new: Obj, *, expected: int, allocate: bool) -> bytes:
        """Raises Mismatch when the row is not at the revision expected."""
        key = _key(strategy, new)
        if not allocate:
            return self._put(ctx, strategy, key, new, expected)
        with self._allocators.holding(strategy.kind, key, new):
            return self._put(ctx, strategy, key, new, expected)

    def delete(self, ctx: Context, strategy: Strategy, last: Obj, *, expected: int) -> bytes:
        """The last state, with the deletion's revision. Raises Mismatch as `put` does."""
        key = _key(strategy, last)
        if ctx.dry_run:
            self._check_expected(key, expected)
            return encode_json(last)
        with self._allocators.holding(strategy.kind, key, None):
            return _written(self._store.delete, strategy, key, last, expected)

    def _put(self, ctx: Context, strategy: Strategy, key: str, new: Obj, expected: int) -> bytes:
        if ctx.dry_run:
            self._check_expected(key, expected)
            return encode_json(new)
        return _written(self._store.put, strategy, key, new, expected)

    def _check_expected(self, key: str, expected: int) -> None:
        """A dry run loses where the write itself would."""
        row = self._store.get(key)
        if (row.revision if row else 0) != expected:
            raise Mismatch(key, row)


def _key(strategy: Strategy, obj: Obj) -> str:
    return strategy.kind.key(meta.namespace(obj), meta.name(obj))


def _encoder(obj: Obj) -> Encode:
    def encode(revision: int) -> bytes:
        obj["metadata"]["resourceVersion"] = str(revision)
        return encode_json(obj)

    return encode


def _written(write: Callable[..., Row], strategy: Strategy, key: str, obj: Obj, expected: int) -> bytes:
    try:
        return write(key, _encoder(obj), expected=expected, durability=strategy.durability).value
    except Unavailable as error:
        raise ServiceUnavailable(f"the store cannot write: {error}") from error
