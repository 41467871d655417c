"""Roles and ClusterRoles: what may be done, in a namespace or everywhere."""

from __future__ import annotations

from mini8s.objects.kinds import CLUSTERROLES, ROLES
from mini8s.registry.columns import CREATED_AT, NAME
from mini8s.registry.rules import rbac
from mini8s.registry.strategy import Strategy

STRATEGY = Strategy(
    kind=ROLES,
    columns=(NAME, CREATED_AT),
    name_rule=rbac.name_rule,
    validate=rbac.role,
    create_on_update=True,
)
CLUSTER_STRATEGY = Strategy(
    kind=CLUSTERROLES,
    columns=(NAME, CREATED_AT),
    name_rule=rbac.name_rule,
    validate=rbac.cluster_role,
    create_on_update=True,
)
