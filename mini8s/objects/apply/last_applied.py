"""kubectl's way from client-side to server-side apply (upstream: the lastAppliedManager).

An object that `kubectl apply` made holds its last configuration in an annotation, and its fields belong to
`kubectl-client-side-apply`. The manager `kubectl` may take over fields that the annotation has as they are
now, and while the annotation is there it is kept true, so that there is a way back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mini8s.objects import meta
from mini8s.objects.apply.books import Managers
from mini8s.objects.apply.conflicts import ApplyConflict, Claim
from mini8s.objects.apply.extent import compare, stated
from mini8s.objects.apply.sets import Tree, difference
from mini8s.objects.apply.updater import Writing, apply
from mini8s.objects.kinds import Obj

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"
MAX_ANNOTATIONS = 256 * 1024


def apply_as_kubectl(
    writing: Writing, live: Obj, config: Obj, managers: Managers, *, force: bool
) -> tuple[Obj, Managers]:
    """`apply`, with these two rules when the manager is kubectl."""
    if writing.by.name != KUBECTL:
        return apply(writing, live, config, managers, force=force)
    try:
        merged, kept = apply(writing, live, config, managers, force=force)
    except ApplyConflict as error:
        left = _claims_left(error.claims, _allowed(writing, live))
        if left:
            raise ApplyConflict(left) from error
        merged, kept = apply(writing, live, config, managers, force=True)
    if ANNOTATION in meta.annotations(merged):
        merged = _annotated(merged, config)
    return merged, kept


def _allowed(writing: Writing, live: Obj) -> Tree:
    """The fields that the annotation has with the values that they have now."""
    try:
        last = json.loads(meta.annotations(live).get(ANNOTATION) or "null")
    except ValueError:
        return {}
    if not isinstance(last, dict):
        return {}
    found = compare(writing.field, last, live)
    return difference(stated(writing.field, last), found.touched)


def _claims_left(claims: Sequence[Claim], allowed: Tree) -> list[Claim]:
    found = [Claim(claim.entry, difference(claim.fields, allowed)) for claim in claims]
    return [claim for claim in found if claim.fields]


def _annotated(merged: Obj, config: Obj) -> Obj:
    """With the configuration as the annotation, if there is room for it."""
    metadata = config.get("metadata") or {}
    others = {name: value for name, value in meta.annotations(config).items() if name != ANNOTATION}
    said = config | {"metadata": metadata | {"annotations": others}}
    written = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
    kept = meta.annotations(merged)
    size = sum(len(name) + len(value) for name, value in kept.items() if name != ANNOTATION)
    if size + len(ANNOTATION) + len(written.encode()) > MAX_ANNOTATIONS:
        written = ""
    return merged | {"metadata": merged["metadata"] | {"annotations": kept | {ANNOTATION: written}}}
