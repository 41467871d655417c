"""Whose is it: an owner adopts what its selector finds and nobody controls, and lets go what it no longer
selects (`controller_ref_manager.go`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mini8s.client.base import Api
from mini8s.client.cache import Cache, IndexFunction
from mini8s.controllers.actions import Patch, patch
from mini8s.objects import meta
from mini8s.objects.errors import Conflict
from mini8s.objects.kinds import Kind, Obj
from mini8s.objects.labels import Selector, from_label_selector


def by_controller(obj: Obj) -> Iterable[str]:
    ref = meta.controller_ref(obj)
    return (ref["uid"],) if ref else ()


def orphans(obj: Obj) -> Iterable[str]:
    return () if meta.controller_ref(obj) else (meta.namespace(obj),)


INDEXERS: Mapping[str, IndexFunction] = {"controller": by_controller, "orphans": orphans}


@dataclass(frozen=True, slots=True)
class Claims:
    """`mine` includes what is to be adopted, as if it were done."""

    mine: tuple[Obj, ...] = ()
    adopted: tuple[Obj, ...] = ()
    released: tuple[Obj, ...] = ()

    def patches(self, owner: Obj, owner_kind: Kind, kind: Kind, *, finalizer: str = "") -> tuple[Patch, ...]:
        """`finalizer`: what the owner's own have, so that it goes as the owner does."""
        ref = meta.new_controller_ref(owner, owner_kind)
        return (
            *(_patch(kind, obj, [*meta.owners(obj), ref], finalizer, held=True) for obj in self.adopted),
            *(
                _patch(
                    kind,
                    obj,
                    [other for other in meta.owners(obj) if other["uid"] != ref["uid"]],
                    finalizer,
                    held=False,
                )
                for obj in self.released
            ),
        )


def claim(
    owner: Obj, cache: Cache, selector: Selector | None = None, *, fits: Callable[[Obj], bool] = bool
) -> Claims:
    """What an owner has of a cache that has the indexes above. `selector`: where it is not `spec.selector` as
    most write it; `fits`: what must hold besides."""
    selected = once_for_labels((selector or selector_of(owner)).matches)
    mine: list[Obj] = []
    released: list[Obj] = []
    for obj in cache.index("controller", meta.uid(owner)):
        (mine if selected(obj) and fits(obj) else released).append(obj)
    if meta.deleting(owner):
        return Claims(tuple(mine))
    adopted = tuple(
        obj
        for obj in cache.index("orphans", meta.namespace(owner))
        if selected(obj) and fits(obj) and not meta.deleting(obj)
    )
    return Claims((*mine, *adopted), adopted, tuple(released))


def once_for_labels(judge: Callable[[Mapping[str, str]], bool]) -> Callable[[Obj], bool]:
    """A judgement of objects by their labels: of thousands that share theirs (`client/sharing.py`) made
    once."""
    known: dict[int, tuple[Mapping[str, str], bool]] = {}

    def judged(obj: Obj) -> bool:
        labels = meta.labels(obj)
        found = known.get(id(labels))
        if found is None:
            found = known[id(labels)] = (labels, judge(labels))  # kept, so that no other gets its id
        return found[1]

    return judged


def selector_of(owner: Obj) -> Selector:
    return from_label_selector(owner["spec"].get("selector"))


def confirm(api: Api, kind: Kind, owner: Obj) -> None:
    """Before adopting: the owner must still be what the cache said, else a child gets a dead parent and the
    garbage collector takes it."""
    fresh = api.get(kind, meta.namespace(owner), meta.name(owner))
    if meta.uid(fresh) != meta.uid(owner) or meta.deleting(fresh):
        raise Conflict(f'{kind.singular} "{meta.key(owner)}" is not what it was: it adopts nothing')


def matching_owners(
    orphan: Obj, owners: Cache, selector: Callable[[Obj], Selector] = selector_of
) -> Iterable[str]:
    """The keys of the owners that would adopt an object that has no controller."""
    for owner in owners.list(meta.namespace(orphan)):
        if selector(owner).matches(meta.labels(orphan)):
            yield meta.key(owner)


def _patch(kind: Kind, obj: Obj, owners: list[Obj], finalizer: str, *, held: bool) -> Patch:
    change: Obj = {"ownerReferences": owners}
    if finalizer:
        others = [item for item in meta.finalizers(obj) if item != finalizer]
        change["finalizers"] = [*others, finalizer] if held else others
    return patch(kind, obj, {"metadata": change}, swap=True)
