"""DaemonSets: a pod on every node that fits."""

from __future__ import annotations

from mini8s.objects.kinds import DAEMONSETS
from mini8s.registry import columns
from mini8s.registry.base import Column
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import sets, workloads
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status
from mini8s.registry.strategy import spec as spec_of


def _count(title: str, part: str) -> Column:
    return column(title, lambda obj: status(obj).get(part, 0), type="integer")


STRATEGY = Strategy(
    kind=DAEMONSETS,
    columns=(
        NAME,
        _count("Desired", "desiredNumberScheduled"),
        _count("Current", "currentNumberScheduled"),
        _count("Ready", "numberReady"),
        _count("Up-to-date", "updatedNumberScheduled"),
        _count("Available", "numberAvailable"),
        column(
            "Node Selector",
            lambda obj: columns.listed_labels(columns.template_spec(obj).get("nodeSelector")),
        ),
        AGE,
        *columns.containers(columns.template_spec),
        column("Selector", lambda obj: columns.selector(spec(obj).get("selector")), wide=True),
    ),
    prepare_for_create=empty_status,
    validate=sets.daemon_set,
    update=Update(keep_status, workloads.same_selector),
    subresources=STATUS,
    generation=spec_of,
)
