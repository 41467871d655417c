"""ReplicaSets: so many pods of one template."""

from __future__ import annotations

from mini8s.objects.kinds import REPLICASETS
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import workloads
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status, selectable
from mini8s.registry.strategy import spec as spec_of

STRATEGY = Strategy(
    kind=REPLICASETS,
    columns=(
        NAME,
        column("Desired", lambda obj: spec(obj).get("replicas", 0), type="integer"),
        column("Current", lambda obj: status(obj).get("replicas", 0), type="integer"),
        column("Ready", lambda obj: status(obj).get("readyReplicas", 0), type="integer"),
        AGE,
        *columns.containers(columns.template_spec),
        column("Selector", lambda obj: columns.selector(spec(obj).get("selector")), wide=True),
    ),
    fields=selectable("status.replicas"),
    prepare_for_create=empty_status,
    validate=workloads.replica_set,
    update=Update(keep_status, workloads.same_selector),
    subresources=STATUS,
    generation=spec_of,
)
