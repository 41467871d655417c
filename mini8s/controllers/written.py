"""What a plan's actions wrote, and whether a cache has seen it yet.

A write answers with the revision it made; a deletion may answer with a mere Status, so of what was deleted it
is remembered that it must be gone, or on its way out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mini8s.client.informer import Informer
from mini8s.objects import meta
from mini8s.objects.kinds import Kind, Obj


@dataclass(frozen=True, slots=True)
class Gone:
    kind: Kind
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class Written:
    """The newest revision made of each kind, and what was deleted; `component` is who writes, for events."""

    component: str = ""
    revisions: dict[Kind, int] = field(default_factory=dict)
    gone: set[Gone] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.revisions or self.gone)

    def note(self, kind: Kind, answer: Obj) -> None:
        if answer.get("kind") == kind.kind:  # a Status says nothing of revisions
            self.revisions[kind] = max(meta.revision(answer), self.revisions.get(kind, 0))

    def unseen(self, informers: dict[Kind, Informer]) -> Iterator[Kind]:
        """The kinds whose cache is behind; kinds that nobody here watches are not waited for."""
        for kind, revision in self.revisions.items():
            if kind in informers and informers[kind].version < revision:
                yield kind
        for gone in self.gone:
            if gone.kind in informers and _is_there(informers[gone.kind], gone):
                yield gone.kind


def _is_there(informer: Informer, gone: Gone) -> bool:
    found = informer.cache.get(gone.namespace, gone.name)
    return found is not None and meta.uid(found) == gone.uid and not meta.deleting(found)
