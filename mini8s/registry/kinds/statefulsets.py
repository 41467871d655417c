"""StatefulSets: pods with a name and a place of their own, one after the other."""

from __future__ import annotations

from mini8s.objects.kinds import STATEFULSETS, Obj
from mini8s.registry import columns
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import sets
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status
from mini8s.registry.strategy import spec as spec_of


def _ready(found: Obj) -> str:
    return f"{status(found).get('readyReplicas', 0)}/{spec(found).get('replicas', 0)}"


STRATEGY = Strategy(
    kind=STATEFULSETS,
    columns=(
        NAME,
        column("Ready", _ready, description="Pods that are ready, of those wanted."),
        AGE,
        *columns.containers(columns.template_spec),
    ),
    prepare_for_create=empty_status,
    validate=sets.stateful_set,
    update=Update(keep_status, sets.stateful_set_update),
    subresources=STATUS,
    generation=spec_of,
)
