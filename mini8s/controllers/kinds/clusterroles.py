"""A ClusterRole with an aggregationRule has the rules of all those that its selectors choose
(`pkg/controller/clusterroleaggregation`); what else is written into it goes again."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.controllers.actions import NOTHING, Plan, patch
from mini8s.controllers.base import Context, Source
from mini8s.objects import meta
from mini8s.objects.kinds import CLUSTERROLES, Obj
from mini8s.objects.labels import from_label_selector


class ClusterRoleAggregation:
    name = "clusterrole-aggregation"

    def __init__(self, context: Context) -> None:
        self._roles = context.cache(CLUSTERROLES)
        self.sources = (Source(CLUSTERROLES, self._gatherers),)

    def plan(self, key: str) -> Plan:
        role = self._roles.get("", key)
        return NOTHING if role is None else plan(role, self._roles.list())

    def _gatherers(self, _old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Whichever role changed: those that may have gathered it, or may have to."""
        return {meta.name(role) for role in (*self._roles.list(), new or {}) if role.get("aggregationRule")}


def plan(role: Obj, roles: Iterable[Obj]) -> Plan:
    if not role.get("aggregationRule") or meta.deleting(role):
        return NOTHING
    wanted = gathered(role, roles)
    if wanted == (role.get("rules") or []):
        return NOTHING
    return Plan((patch(CLUSTERROLES, role, {"rules": wanted}),), said=f"{len(wanted)} rules")


def gathered(role: Obj, roles: Iterable[Obj]) -> list[Obj]:
    """The rules of the chosen roles, in order of name, each once."""
    said = role["aggregationRule"].get("clusterRoleSelectors") or ()
    selectors = [from_label_selector(selector) for selector in said]
    found: list[Obj] = []
    for other in sorted(roles, key=meta.name):
        if meta.name(other) == meta.name(role):
            continue
        if any(selector.matches(meta.labels(other)) for selector in selectors):
            found += [rule for rule in other.get("rules") or () if rule not in found]
    return found
