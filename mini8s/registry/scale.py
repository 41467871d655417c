"""The `scale` subresource: a small object of its own (autoscaling/v1 Scale) that stands for spec.replicas."""

from __future__ import annotations

from typing import Any

from mini8s.objects import labels, meta
from mini8s.objects.kinds import REPLICATIONCONTROLLERS, Kind, Obj
from mini8s.registry import problems, refusals
from mini8s.registry.columns import AGE, NAME, column, spec, status

SCALE = Kind("autoscaling", "v1", "Scale", "scales")
COLUMNS = (
    NAME,
    column("Desired", lambda scale: spec(scale).get("replicas", 0), type="integer"),
    column("Available", lambda scale: status(scale).get("replicas", 0), type="integer"),
    AGE,
)
_CONDITIONS = ("name", "namespace", "uid", "resourceVersion")
_SHARED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def of(obj: Obj) -> Obj:
    """The Scale of a workload."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    said: dict[str, Any] = {"replicas": status.get("replicas", 0)}
    if selector := str(_selector(obj["kind"], spec.get("selector"))):
        said["selector"] = selector
    wanted = spec.get("replicas", 0)
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": {part: obj["metadata"][part] for part in _SHARED if part in obj["metadata"]},
        "spec": {"replicas": wanted} if wanted else {},
        "status": said,
    }


def _selector(kind: str, stated: Obj | None) -> labels.Selector:
    """A ReplicationController's is a plain map."""
    if kind == REPLICATIONCONTROLLERS.kind:
        return labels.from_labels(stated or {})
    return labels.from_label_selector(stated)


def config(kind: Kind, scale: Obj) -> Obj:
    """An applied Scale as what it says of the object itself."""
    stated = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": scale.get("metadata") or {}}
    return stated | ({"spec": scale["spec"]} if scale.get("spec") else {})


def onto(obj: Obj, scale: Obj) -> Obj:
    """The object as a Scale wants it; the Scale's version and uid are the client's conditions."""
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        cause = problems.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise refusals.invalid(SCALE, meta.name(obj), [cause])
    said = scale["metadata"]
    conditions = {part: said[part] for part in _CONDITIONS if said.get(part)}
    return obj | {"metadata": obj["metadata"] | conditions, "spec": obj["spec"] | {"replicas": replicas}}
