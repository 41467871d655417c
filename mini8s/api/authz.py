"""Who may do what: administrators everything, a node what a node needs, and everybody what roles say.

The order is upstream's: the group of administrators, the node authorizer, RBAC; one yes is enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.api import node_authz
from mini8s.api.attributes import Attributes, Decision
from mini8s.api.roles import Roles
from mini8s.objects.kinds import Kind, Obj
from mini8s.objects.rbac import Rule
from mini8s.registry.base import MASTERS, May, Registry, RulesIn, User

_YES = Decision(True)


class Authorizer:
    """An `Authorize` over what is stored."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._roles = Roles(registry)

    def __call__(self, user: User, what: Attributes) -> Decision:
        if MASTERS in user.groups:
            return _YES
        if user.node and node_authz.allowed(node_authz.Asked(user.node, what, self._registry)):
            return _YES
        return self._roles.decide(user, what)

    def may(self, user: User) -> May:
        """The authoriser as admission asks it."""

        def may(verb: str, kind: Kind, namespace: str, name: str, subresource: str) -> bool:
            return self(user, Attributes(verb, kind, namespace, name, subresource)).allowed

        return may

    def rules(self, user: User) -> RulesIn:
        """What the user has by roles, as admission asks it."""

        def rules(namespace: str) -> Sequence[Rule]:
            return self._roles.rules(user, namespace)

        return rules

    def review(self, user: User, namespace: str) -> Obj:
        """All that the user may in a namespace (`SubjectRulesReviewStatus`). A node's rights are no such
        rules: they look into what is stored."""
        rules = self._roles.rules(user, namespace)
        said = [rule.to_json() for rule in rules]
        problems = [self._roles.problems(user, namespace)]
        if user.node:
            problems.insert(0, "node authorizer does not support user rule resolution")
        why = ", ".join(filter(None, problems))
        return {
            "resourceRules": [rule for rule in said if "resources" in rule],
            "nonResourceRules": [rule for rule in said if "nonResourceURLs" in rule],
            "incomplete": bool(why),
            **({"evaluationError": why} if why else {}),
        }

    def close(self) -> None:
        self._roles.close()
