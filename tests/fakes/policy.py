"""The shipped roles and bindings in a registry of a test."""

from __future__ import annotations

from datetime import datetime

from mini8s.objects import meta
from mini8s.objects.kinds import CLUSTERROLES
from mini8s.registry.base import MASTERS, Context, ListOptions, Registry, User
from mini8s.registry.policy import shipped


def seed(registry: Registry, now: datetime) -> None:
    """Those that are in no namespace, if they are not there yet."""
    if registry.list(CLUSTERROLES, "", ListOptions(limit=1)).items:
        return
    context = Context(User("system:admin", (MASTERS,)), now)
    for kind, obj in (*shipped.roles(), *shipped.bindings()):
        if not kind.namespaced:
            registry.create(context, kind, meta.namespace(obj), obj)
