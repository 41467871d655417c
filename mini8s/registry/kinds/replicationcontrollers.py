"""ReplicationControllers: what came before ReplicaSets. The selector is a plain map."""

from __future__ import annotations

from mini8s.objects.kinds import REPLICATIONCONTROLLERS
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import sets
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status, selectable
from mini8s.registry.strategy import spec as spec_of

STRATEGY = Strategy(
    kind=REPLICATIONCONTROLLERS,
    columns=(
        NAME,
        column("Desired", lambda obj: spec(obj).get("replicas", 0), type="integer"),
        column("Current", lambda obj: status(obj).get("replicas", 0), type="integer"),
        column("Ready", lambda obj: status(obj).get("readyReplicas", 0), type="integer"),
        AGE,
        *columns.containers(columns.template_spec),
        column("Selector", lambda obj: columns.listed_labels(spec(obj).get("selector")), wide=True),
    ),
    fields=selectable("status.replicas"),
    orphans=True,
    prepare_for_create=empty_status,
    validate=sets.replication_controller,
    update=Update(keep_status),
    subresources=STATUS,
    generation=spec_of,
)
