"""Deployments: many ReplicaSets over time, one at a time."""

from __future__ import annotations

from mini8s.objects.kinds import DEPLOYMENTS, Obj
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import workloads
from mini8s.registry.strategy import Strategy, Update, empty_status, keep_spec, keep_status
from mini8s.registry.strategy import spec as spec_of


def _update_status(new: Obj, old: Obj) -> None:
    keep_spec(new, old)
    new["metadata"].pop("labels", None)
    if labels := old["metadata"].get("labels"):
        new["metadata"]["labels"] = labels


def _ready(deployment: Obj) -> str:
    return f"{status(deployment).get('readyReplicas', 0)}/{spec(deployment).get('replicas', 0)}"


STRATEGY = Strategy(
    kind=DEPLOYMENTS,
    columns=(
        NAME,
        column("Ready", _ready, description="Pods that are ready, of those wanted."),
        column("Up-to-date", lambda obj: status(obj).get("updatedReplicas", 0), type="integer"),
        column("Available", lambda obj: status(obj).get("availableReplicas", 0), type="integer"),
        AGE,
        *columns.containers(columns.template_spec),
        column("Selector", lambda obj: columns.selector(spec(obj).get("selector")), wide=True),
    ),
    prepare_for_create=empty_status,
    validate=workloads.deployment,
    update=Update(keep_status, workloads.same_selector),
    subresources={"status": Update(_update_status)},
    generation=spec_of,
)
