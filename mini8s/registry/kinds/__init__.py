"""The strategies of the kinds that mini8s serves, as one visible table.

To add a kind: a line in `objects/kinds.py`, a file here with its STRATEGY, a line below, and its rules in
`registry/rules/` when they do not fit on its screen.
"""

from __future__ import annotations

from mini8s.registry.kinds import (
    configmaps,
    deployments,
    endpoints,
    endpointslices,
    events,
    leases,
    namespaces,
    nodes,
    pods,
    replicasets,
    secrets,
    serviceaccounts,
    services,
)
from mini8s.registry.strategy import Strategy

STRATEGIES: tuple[Strategy, ...] = (
    namespaces.STRATEGY,
    nodes.STRATEGY,
    pods.STRATEGY,
    services.STRATEGY,
    endpoints.STRATEGY,
    configmaps.STRATEGY,
    secrets.STRATEGY,
    events.STRATEGY,
    serviceaccounts.STRATEGY,
    deployments.STRATEGY,
    replicasets.STRATEGY,
    leases.STRATEGY,
    endpointslices.STRATEGY,
)

BY_KIND = {strategy.kind: strategy for strategy in STRATEGIES}
