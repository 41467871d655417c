"""OwnerReferencesPermissionEnforcement: naming an owner lets the garbage collector delete the object, and a
blocking owner is held back by it; who does either must be allowed to do it himself."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.objects import kinds, meta
from mini8s.objects.kinds import PODS, Obj
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt


def owner_references_permission(attempt: Attempt) -> None:
    if attempt.operation == "DELETE" or (attempt.kind, attempt.subresource) == (PODS, "status"):
        return
    new, old = meta.owners(attempt.obj), meta.owners(attempt.old or {})
    if new != old and (why := next(iter(_objections(attempt, new, old)), "")):
        raise refusals.forbidden(attempt.kind, attempt.name, f"{why}: , <nil>")


def _objections(attempt: Attempt, new: list[Obj], old: list[Obj]) -> Iterable[str]:
    may, space = attempt.ctx.may, attempt.namespace
    if attempt.operation != "CREATE" and not may(
        "delete", attempt.kind, space, attempt.name, attempt.subresource
    ):
        yield "cannot set an ownerRef on a resource you can't delete"
    before = {owner.get("uid") for owner in old if owner.get("blockOwnerDeletion")}
    for owner in new:
        if not owner.get("blockOwnerDeletion") or owner.get("uid") in before:
            continue
        kind = kinds.by_kind(owner.get("apiVersion") or "", owner.get("kind") or "")
        if kind is None:
            continue  # of what is not served here nobody can be kept from deleting it
        name = owner.get("name") or ""
        if not may("update", kind, space if kind.namespaced else "", name, "finalizers"):
            yield (
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set "
                "finalizers on"
            )
