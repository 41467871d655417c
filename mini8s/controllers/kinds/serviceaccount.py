"""Every namespace has a ServiceAccount `default`, the one that pods run as when they name none."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.controllers.actions import NOTHING, Create, Plan
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import meta
from mini8s.objects.kinds import NAMESPACES, SERVICEACCOUNTS, Obj

DEFAULT = "default"


class ServiceAccounts:
    name = "serviceaccount"

    def __init__(self, context: Context) -> None:
        self._namespaces = context.cache(NAMESPACES)
        self._accounts = context.metadata(SERVICEACCOUNTS)
        self.sources = (
            Source(NAMESPACES, by_object(own_key)),
            Source(SERVICEACCOUNTS, _gone, metadata_only=True),
        )

    def plan(self, key: str) -> Plan:
        namespace = self._namespaces.get("", key)
        if namespace is None or meta.deleting(namespace) or self._accounts.get(key, DEFAULT):
            return NOTHING
        account = {
            "apiVersion": SERVICEACCOUNTS.api_version,
            "kind": SERVICEACCOUNTS.kind,
            "metadata": {"namespace": key, "name": DEFAULT},
        }
        return Plan((Create(SERVICEACCOUNTS, account),))


def _gone(old: Obj | None, new: Obj | None) -> Iterable[str]:
    return (meta.namespace(old),) if old is not None and new is None else ()
