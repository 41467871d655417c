"""Nobody gives away by roles what he has not himself, unless a role lets him: `escalate` on roles, `bind` on
those that a binding names (upstream's storage of RBAC objects, `policybased`)."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects import rbac
from mini8s.objects.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, Obj
from mini8s.objects.rbac import FULL, Rule, missing, rules_of
from mini8s.registry import refusals
from mini8s.registry.admission.attempt import Attempt
from mini8s.registry.base import MASTERS

_COLLECTED = ("ownerReferences", "finalizers")  # what the garbage collector needs


def no_escalation(attempt: Attempt) -> None:
    if attempt.operation == "DELETE" or MASTERS in attempt.ctx.user.groups:
        return
    if attempt.kind in {ROLES, CLUSTERROLES} and not _only_collected(attempt):
        _role(attempt)
    elif attempt.kind in {ROLEBINDINGS, CLUSTERROLEBINDINGS} and not _only_collected(attempt):
        _binding(attempt)


def _role(attempt: Attempt) -> None:
    kind, space, name = attempt.kind, attempt.namespace, attempt.name
    if attempt.ctx.may("escalate", kind, space, name, ""):
        return
    _confirm(attempt, rules_of(attempt.obj))
    gathers = any((role or {}).get("aggregationRule") for role in (attempt.obj, attempt.old))
    if gathers and missing(attempt.ctx.rules(space), FULL):
        why = "must have cluster-admin privileges to use the aggregationRule"
        raise refusals.forbidden(kind, name, why)


def _binding(attempt: Attempt) -> None:
    ref = attempt.obj.get("roleRef") or {}
    name = ref.get("name") or ""
    of = ROLES if ref.get("kind") == ROLES.kind else CLUSTERROLES
    if attempt.ctx.may("bind", of, attempt.namespace, name, ""):
        return
    role = attempt.world.find(of, attempt.namespace if of is ROLES else "", name)
    if role is None:
        raise refusals.not_found(of, name)
    _confirm(attempt, rules_of(role))


def _confirm(attempt: Attempt, rules: Sequence[Rule]) -> None:
    lacking = missing(attempt.ctx.rules(attempt.namespace), rules)
    if not lacking:
        return
    user, said = attempt.ctx.user, "\n".join(sorted(map(str, lacking)))
    raise refusals.forbidden(
        attempt.kind,
        attempt.name,
        f'user "{user.name}" (groups={rbac.quoted(user.groups)}) is attempting to grant RBAC permissions not '
        f"currently held:\n{said}",
    )


def _only_collected(attempt: Attempt) -> bool:
    """Whether a change is only about how the object ends."""
    return attempt.old is not None and _rest(attempt.obj) == _rest(attempt.old)


def _rest(obj: Obj) -> Obj:
    kept = {part: value for part, value in obj["metadata"].items() if part not in _COLLECTED}
    return obj | {"metadata": {part: value for part, value in kept.items() if part != "managedFields"}}
