"""Every namespace has a ConfigMap `kube-root-ca.crt`: the certificate by which its pods know the API server
(`pkg/controller/certificates/rootcacertpublisher`). Whoever changes it gets it back."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.controllers.actions import NOTHING, Create, Plan, patch
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import meta
from mini8s.objects.kinds import CONFIGMAPS, NAMESPACES, Obj
from mini8s.objects.pods import ROOT_CA

KEY = "ca.crt"
AGAIN_SECONDS = 86400.0  # and at once when the authority changes: the manager hurries what waits
_ONE = f"metadata.name={ROOT_CA}"
_NOTES = {"kubernetes.io/description": "The certificate authority of the API server, for its clients."}


class RootCaPublisher:
    name = "root-ca-cert-publisher"

    def __init__(self, context: Context) -> None:
        self._ca = context.settings.root_ca
        self._namespaces = context.cache(NAMESPACES)
        self._published = context.cache(CONFIGMAPS, fields=_ONE)
        self.sources = (
            Source(NAMESPACES, by_object(own_key)),
            Source(CONFIGMAPS, _namespace_of, fields=_ONE),
        )

    def plan(self, key: str) -> Plan:
        namespace = self._namespaces.get("", key)
        ca = self._ca()
        if namespace is None or meta.deleting(namespace) or not ca:
            return NOTHING
        return plan(key, self._published.get(key, ROOT_CA), ca)


def plan(namespace: str, found: Obj | None, ca: str) -> Plan:
    data = {KEY: ca}
    if found is None:
        made = {
            "apiVersion": CONFIGMAPS.api_version,
            "kind": CONFIGMAPS.kind,
            "metadata": {"namespace": namespace, "name": ROOT_CA, "annotations": dict(_NOTES)},
            "data": data,
        }
        return Plan((Create(CONFIGMAPS, made),), AGAIN_SECONDS)
    if found.get("data") == data:
        return Plan(again_after=AGAIN_SECONDS)
    wrong = {key: None for key in found.get("data") or {} if key != KEY}
    return Plan((patch(CONFIGMAPS, found, {"data": wrong | data}),), AGAIN_SECONDS)


def _namespace_of(old: Obj | None, new: Obj | None) -> Iterable[str]:
    return {meta.namespace(obj) for obj in (old, new) if obj}
