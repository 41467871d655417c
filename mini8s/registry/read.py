"""Reading: stored bytes go out as they are; objects are decoded only where a selector must look inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from mini8s.objects.kinds import Kind, Obj
from mini8s.registry import paging, refusals, selection
from mini8s.registry.base import Listed, ListOptions
from mini8s.registry.selection import Selection
from mini8s.registry.strategy import Strategy
from mini8s.store.base import Compacted, FutureRevision, Page, Row, Store
from mini8s.wire.codec import decode_json


class Reader:
    def __init__(self, store: Store, strategies: Mapping[Kind, Strategy]) -> None:
        self._store = store
        self._strategies = strategies

    def get(self, kind: Kind, namespace: str, name: str, *, resource_version: str = "") -> bytes:
        if resource_version:
            self._reached(paging.parse_revision(resource_version))
        return self.row(kind, namespace, name).value

    def row(self, kind: Kind, namespace: str, name: str) -> Row:
        row = self._store.get(kind.key(namespace, name))
        if row is None:
            raise refusals.not_found(kind, name)
        return row

    def find(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """The object, decoded; None when there is none. Nobody changes what it gives: namespaces and their
        like are asked for at every creation, and decoded once."""
        row = self._store.get(kind.key(namespace, name))
        return _decoded(row.value) if row else None

    def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        return self._store.get(kind.key(namespace, name)) is not None

    def all(self, kind: Kind, namespace: str) -> Sequence[Obj]:
        """Every object there is now, decoded."""
        return [decode_json(row.value) for row in self._store.list(kind.prefix(namespace)).rows]

    def any(self, kind: Kind, namespace: str) -> bool:
        return bool(self._store.list(kind.prefix(namespace), limit=1).rows)

    def list(self, kind: Kind, namespace: str, options: ListOptions) -> Listed:
        wanted = selection.parse(self._strategies[kind], options)
        prefix = kind.prefix(namespace)
        start = paging.start(options, prefix)
        self._reached(start.not_older)
        try:
            page = self._page(kind, namespace, wanted, start, options.limit)
        except Compacted as error:
            if options.continue_token:
                raise paging.expired(start.after, prefix) from error
            raise refusals.expired(start.revision, error.oldest) from error
        except FutureRevision as error:
            raise refusals.too_new(start.revision, error.newest) from error
        token = paging.token(page.revision, page.next_key, prefix) if page.next_key else ""
        remaining = page.remaining if wanted.empty else None
        return Listed([row.value for row in page.rows], page.revision, token, remaining)

    def _page(self, kind: Kind, namespace: str, wanted: Selection, start: paging.Start, limit: int) -> Page:
        prefix = kind.prefix(namespace)
        if wanted.empty:
            return self._store.list(prefix, after=start.after, limit=limit, revision=start.revision)
        if wanted.name and (namespace or not kind.namespaced) and not start.after:
            return self._one(kind.key(namespace, wanted.name), wanted, start.revision)
        return self._matching(prefix, wanted, start, limit)

    def _one(self, key: str, wanted: Selection, revision: int) -> Page:
        """A selector that names the object, as `kubectl wait` and `get -w NAME` send it."""
        as_of = revision or self._store.revision
        row = self._store.get(key, revision=revision)
        found = row is not None and wanted.matches(decode_json(row.value))
        return Page((row,) if row and found else (), as_of)

    def _matching(self, prefix: str, wanted: Selection, start: paging.Start, limit: int) -> Page:
        """Rows that match, at most limit; reads on until there are enough of them."""
        found: list[Row] = []
        after, revision = start.after, start.revision
        while True:
            page = self._store.list(prefix, after=after, limit=limit, revision=revision)
            revision = page.revision
            for position, row in enumerate(page.rows):
                if limit and len(found) == limit:
                    return Page(tuple(found), revision, page.rows[position].key)
                if wanted.matches(decode_json(row.value)):
                    found.append(row)
            after = page.next_key
            if not after or len(found) == limit > 0:
                return Page(tuple(found), revision, after)

    def _reached(self, revision: int) -> None:
        if revision > self._store.revision:
            raise refusals.too_new(revision, self._store.revision)


@lru_cache(maxsize=64)
def _decoded(value: bytes) -> Obj:
    obj: Obj = decode_json(value)
    return obj
