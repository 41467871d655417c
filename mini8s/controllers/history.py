"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, numbered, so that it can go
back (`controller_history.go`).

kubectl undoes by writing an old template back. Then its revision is found by what it holds, and gets the
highest number instead of a second object. The data is a strategic merge patch, as kubectl expects it.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from mini8s.controllers.actions import Action, Create, Delete, delete, patch, patch_status
from mini8s.controllers.template import plain, template_hash
from mini8s.objects import meta
from mini8s.objects.errors import AlreadyExists, ApiError
from mini8s.objects.kinds import CONTROLLERREVISIONS, Kind, Obj

HASH = "controller-revision-hash"  # the label of pods that says which revision they are of
LONGEST_NAME = 223  # of the owner's name: the rest of 253 is the hash's
_NOT_COPIED = (
    "kubectl.kubernetes.io/last-applied-configuration"  # as large as all the rest, and never read here
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """`update`: the revision of the template as it is now; None until the `actions` made it the newest."""

    update: Obj | None
    actions: tuple[Action, ...] = ()


def in_order(revisions: Iterable[Obj]) -> list[Obj]:
    """The newest last."""
    return sorted(
        revisions, key=lambda one: (number(one), one["metadata"]["creationTimestamp"], meta.name(one))
    )


def number(revision: Obj) -> int:
    return int(revision.get("revision") or 0)


def template_of(revision: Obj) -> Obj:
    """The template that a revision holds."""
    said: Obj = revision["data"]["spec"]["template"]
    return {key: value for key, value in said.items() if key != "$patch"}


def recorded(owner: Obj, kind: Kind, revisions: Iterable[Obj], *, label: str) -> Recorded:
    """`label`: under which the owner's kind puts the hash on its revisions."""
    found = in_order(revisions)
    wanted = plain(owner["spec"]["template"])
    equal = [one for one in found if _template_or_none(one) == wanted]
    following = number(found[-1]) + 1 if found else 1
    if not equal:
        return Recorded(None, (_new(owner, kind, following, label),))
    newest = equal[-1]
    if newest is not found[-1]:
        return Recorded(None, (patch(CONTROLLERREVISIONS, newest, {"revision": following}, swap=True),))
    return Recorded(newest)


def surplus(revisions: Iterable[Obj], live: Collection[str], limit: int | None) -> Sequence[Delete]:
    """The oldest that nobody lives by (names), beyond as many as are to be kept."""
    if limit is None:
        return ()
    dead = [one for one in in_order(revisions) if meta.name(one) not in live and not meta.deleting(one)]
    return [delete(CONTROLLERREVISIONS, one) for one in dead[: max(0, len(dead) - limit)]]


def _new(owner: Obj, kind: Kind, revision: int, label: str) -> Create:
    template = owner["spec"]["template"]
    status = owner.get("status") or {}
    mark = template_hash(template, status.get("collisionCount") or None)
    annotations = {key: value for key, value in meta.annotations(owner).items() if key != _NOT_COPIED}
    made = {
        "apiVersion": CONTROLLERREVISIONS.api_version,
        "kind": CONTROLLERREVISIONS.kind,
        "metadata": {
            "namespace": meta.namespace(owner),
            "name": f"{meta.name(owner)[:LONGEST_NAME]}-{mark}",
            "labels": meta.labels(template) | {label: mark},
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [meta.new_controller_ref(owner, kind)],
        },
        "data": {"spec": {"template": copy.deepcopy(template) | {"$patch": "replace"}}},
        "revision": revision,
    }

    def refused(error: ApiError) -> tuple[Action, ...]:
        """A name that another template has means a new name."""
        if not isinstance(error, AlreadyExists):
            return ()
        taken = {"collisionCount": (status.get("collisionCount") or 0) + 1}
        return patch_status(kind, owner, status | taken)

    return Create(CONTROLLERREVISIONS, made, otherwise=refused)


def _template_or_none(revision: Obj) -> Obj | None:
    """Somebody else may have made it, of anything."""
    spec = (revision.get("data") or {}).get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    return plain(template_of(revision)) if isinstance(template, dict) else None
