"""Keeps the shipped roles and bindings: what is missing of them comes back at each start, what somebody added
stays, and those whose `autoupdate` annotation says "false" are left alone.

The rules are those of upstream's reconciliation (`component-helpers/auth/rbac/reconciliation`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from mini8s.objects import meta
from mini8s.objects.errors import AlreadyExists, NotFound
from mini8s.objects.kinds import CLUSTERROLES, ROLES, Kind, Obj
from mini8s.objects.rbac import AUTOUPDATE, missing, rules_of
from mini8s.registry.base import Context, DeleteOptions, Registry
from mini8s.registry.policy import shipped
from mini8s.wire.codec import decode_json

log = logging.getLogger(__name__)

Step = Callable[[], None]


def steps(registry: Registry, context: Callable[[], Context]) -> list[Step]:
    """One for each shipped object; they may be done in any order, or at once."""
    wanted = [*shipped.roles(), *shipped.bindings()]
    return [lambda kind=kind, obj=obj: _ensure(registry, context(), kind, obj) for kind, obj in wanted]  # type: ignore[misc]


def reconciled(kind: Kind, found: Obj, wanted: Obj) -> Obj | None:
    """What the object should become; None when it may stay."""
    if meta.annotations(found).get(AUTOUPDATE) == "false":
        return None
    metadata = found["metadata"] | {
        "labels": meta.labels(wanted) | meta.labels(found),
        "annotations": meta.annotations(wanted) | meta.annotations(found),
    }
    whole = _role if kind in {ROLES, CLUSTERROLES} else _binding
    made = whole(found, wanted) | {"metadata": metadata}
    return None if made == found else made


def _role(found: Obj, wanted: Obj) -> Obj:
    made = dict(found)
    lacking = missing(rules_of(found), rules_of(wanted))
    if lacking:
        made["rules"] = [*(found.get("rules") or ()), *(rule.to_json() for rule in lacking)]
    if selectors := (wanted.get("aggregationRule") or {}).get("clusterRoleSelectors"):
        has = (found.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        more = [selector for selector in selectors if selector not in has]
        if more:
            made["aggregationRule"] = {"clusterRoleSelectors": [*has, *more]}
    return made


def _binding(found: Obj, wanted: Obj) -> Obj:
    has = found.get("subjects") or []
    more = [subject for subject in wanted.get("subjects") or () if subject not in has]
    made = found | ({"subjects": [*has, *more]} if more else {})
    return made | {"roleRef": wanted["roleRef"]}


def _ensure(registry: Registry, ctx: Context, kind: Kind, wanted: Obj) -> None:
    namespace, name = meta.namespace(wanted), meta.name(wanted)
    try:
        found: Obj = decode_json(registry.get(kind, namespace, name))
    except NotFound:
        _create(registry, ctx, kind, wanted)
        return
    made = reconciled(kind, found, wanted)
    if made is None:
        return
    if made.get("roleRef") != found.get("roleRef"):  # which no update can change
        registry.delete(ctx, kind, namespace, name, DeleteOptions(uid=meta.uid(found)))
        kept = {"name": name, "namespace": namespace} if namespace else {"name": name}
        kept |= {part: made["metadata"][part] for part in ("labels", "annotations")}
        _create(registry, ctx, kind, made | {"metadata": kept})
        return
    registry.update(ctx, kind, namespace, name, made)
    log.info("%s %s has again what it came with", kind.singular, name)


def _create(registry: Registry, ctx: Context, kind: Kind, obj: Obj) -> None:
    try:
        registry.create(ctx, kind, meta.namespace(obj), obj)
    except AlreadyExists:
        return
    log.debug("created %s %s", kind.singular, meta.name(obj))
