"""NamespaceLifecycle: nothing new in a namespace that is not there or is going away; some never go."""

from __future__ import annotations

from mini8s.objects import meta
from mini8s.objects.errors import Cause
from mini8s.objects.kinds import NAMESPACES
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def namespace_lifecycle(attempt: Attempt) -> None:
    if attempt.kind is NAMESPACES:
        if attempt.operation == "DELETE" and attempt.name in IMMORTAL:
            raise refusals.forbidden(NAMESPACES, attempt.name, "this namespace may not be deleted")
        return
    if not attempt.kind.namespaced or attempt.operation != "CREATE":
        return
    space = attempt.world.find(NAMESPACES, "", attempt.namespace)
    if space is None:
        raise refusals.not_found(NAMESPACES, attempt.namespace)
    if meta.deleting(space):
        why = f"namespace {attempt.namespace} is being terminated"
        raise refusals.forbidden(
            attempt.kind,
            attempt.name,
            f"unable to create new content in namespace {attempt.namespace} because it is being terminated",
            [Cause("metadata.namespace", why, "NamespaceTerminating")],
        )
