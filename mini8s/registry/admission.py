"""What the cluster has to say to a change before its kind is asked: one ordered table.

A plugin may fill in fields of the new object and may raise; it sees the object after its defaults and before
its rules. A new plugin is a function here or a file of its own, and a line in ADMISSION.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mini8s.objects import meta, taints
from mini8s.objects.errors import Cause
from mini8s.objects.kinds import NAMESPACES, PODS, Kind, Obj
from mini8s.registry import refusals
from mini8s.registry.base import User

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
TOLERATION_SECONDS = 300
_MISBEHAVING = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_PRIORITY_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


@dataclass(frozen=True, slots=True)
class Attempt:
    """A change that somebody tries. `obj` is the object as it would be, of a deletion as it is; `find` reads
    another object as it is now."""

    operation: str  # CREATE | UPDATE | DELETE
    user: User
    kind: Kind
    namespace: str
    name: str
    obj: Obj
    find: Callable[[Kind, str, str], Obj | None]
    subresource: str = ""

    @property
    def creates_pod(self) -> bool:
        return self.kind is PODS and self.operation == "CREATE" and not self.subresource


def namespace_lifecycle(attempt: Attempt) -> None:
    """Nothing new in a namespace that is not there or is going away; some namespaces never go."""
    if attempt.kind is NAMESPACES:
        if attempt.operation == "DELETE" and attempt.name in IMMORTAL:
            raise refusals.forbidden(NAMESPACES, attempt.name, "this namespace may not be deleted")
        return
    if not attempt.kind.namespaced or attempt.operation != "CREATE":
        return
    space = attempt.find(NAMESPACES, "", attempt.namespace)
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


def service_account(attempt: Attempt) -> None:
    """A pod runs as somebody: as `default` when it does not say."""
    if not attempt.creates_pod:
        return
    spec = attempt.obj.setdefault("spec", {})
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name


def default_toleration_seconds(attempt: Attempt) -> None:
    """A pod stays five minutes on a node that has gone quiet, unless it says otherwise."""
    if attempt.kind is not PODS or attempt.operation == "DELETE" or attempt.subresource:
        return
    spec = attempt.obj.setdefault("spec", {})
    found = spec.get("tolerations") or []
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
        for key in _MISBEHAVING
        if not taints.tolerates(found, {"key": key, "effect": "NoExecute"})
    ]
    if added:
        spec["tolerations"] = [*found, *added]


def priority(attempt: Attempt) -> None:
    """The number behind a pod's priority class."""
    if not attempt.creates_pod:
        return
    spec = attempt.obj.setdefault("spec", {})
    name = spec.get("priorityClassName") or ""
    value = _PRIORITY_CLASSES.get(name, 0)
    if name and name not in _PRIORITY_CLASSES:
        raise refusals.forbidden(PODS, attempt.name, f"no PriorityClass with name {name} was found")
    if spec.get("priority") not in {None, value}:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name"
        )
        raise refusals.forbidden(PODS, attempt.name, why)
    spec["priority"] = value
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")


ADMISSION: tuple[Callable[[Attempt], None], ...] = (
    namespace_lifecycle,
    service_account,
    default_toleration_seconds,
    priority,
)


def admit(attempt: Attempt) -> None:
    for plugin in ADMISSION:
        plugin(attempt)
