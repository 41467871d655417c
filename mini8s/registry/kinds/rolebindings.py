"""RoleBindings and ClusterRoleBindings: who has a role."""

from __future__ import annotations

from mini8s.objects.kinds import CLUSTERROLEBINDINGS, ROLEBINDINGS, Obj
from mini8s.registry.columns import AGE, NAME, column
from mini8s.registry.rules import rbac
from mini8s.registry.strategy import Strategy, Update


def _role(found: Obj) -> str:
    role = found.get("roleRef") or {}
    return f"{role.get('kind') or ''}/{role.get('name') or ''}"


def _subjects(found: Obj, kind: str) -> str:
    of_kind = [subject for subject in found.get("subjects") or () if subject.get("kind") == kind]
    prefix = "{namespace}/{name}" if kind == "ServiceAccount" else "{name}"
    return ", ".join(prefix.format(**{"namespace": "", "name": ""} | subject) for subject in of_kind)


_COLUMNS = (
    NAME,
    column("Role", _role),
    AGE,
    column("Users", lambda obj: _subjects(obj, "User"), wide=True),
    column("Groups", lambda obj: _subjects(obj, "Group"), wide=True),
    column("ServiceAccounts", lambda obj: _subjects(obj, "ServiceAccount"), wide=True),
)

STRATEGY = Strategy(
    kind=ROLEBINDINGS,
    columns=_COLUMNS,
    name_rule=rbac.name_rule,
    validate=rbac.role_binding,
    update=Update(validate=rbac.same_role),
    create_on_update=True,
)
CLUSTER_STRATEGY = Strategy(
    kind=CLUSTERROLEBINDINGS,
    columns=_COLUMNS,
    name_rule=rbac.name_rule,
    validate=rbac.cluster_role_binding,
    update=Update(validate=rbac.same_role),
    create_on_update=True,
)
