"""Secrets of type `kubernetes.io/service-account-token`: each gets its account's token, and goes with it
(`pkg/controller/serviceaccount/tokens_controller.go`).

The token is one bound to the Secret, asked for as every token is, with the longest life there is (136
years): it is good as long as the Secret is there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from mini8s.controllers.actions import NOTHING, Plan, Vouch, delete, patch
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import SECRETS, SERVICEACCOUNTS, Obj

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
KEY = "token"  # of its data
AGAIN_SECONDS = 86400.0  # and at once when the authority changes: the manager hurries what waits
_OURS = f"type={TYPE}"
_BY_ACCOUNT = "account"


class TokenSecrets:
    name = "serviceaccount-token"

    def __init__(self, context: Context) -> None:
        self._api = context.api
        self._ca = context.settings.root_ca
        self._secrets = context.cache(SECRETS, {_BY_ACCOUNT: _account_keys}, fields=_OURS)
        self._accounts = context.metadata(SERVICEACCOUNTS)
        self.sources = (
            Source(SECRETS, by_object(own_key), fields=_OURS),
            Source(SERVICEACCOUNTS, by_object(self._keys_of), metadata_only=True),
        )

    def plan(self, key: str) -> Plan:
        secret = self._secrets.get(*meta.split_key(key))
        if secret is None or meta.deleting(secret):
            return NOTHING
        return plan(secret, self._account_of(secret), self._ca())

    def _account_of(self, secret: Obj) -> Obj | None:
        """From the API if need be: it may have been made a moment before its Secret."""
        namespace, name = meta.namespace(secret), meta.annotations(secret).get(NAME, "")
        if account := self._accounts.get(namespace, name):
            return account
        try:
            return self._api.get(SERVICEACCOUNTS, namespace, name)
        except NotFound:
            return None

    def _keys_of(self, account: Obj) -> Iterable[str]:
        return [meta.key(secret) for secret in self._secrets.index(_BY_ACCOUNT, meta.key(account))]


def plan(secret: Obj, account: Obj | None, ca: str) -> Plan:
    stated = meta.annotations(secret).get(UID)
    if account is None or stated not in {None, "", meta.uid(account)}:
        return Plan((delete(SECRETS, secret),), said="its account is gone")
    if secret.get("immutable"):
        return Plan(said="it is immutable")
    found = secret.get("data") or {}
    wanted = {"ca.crt": _encoded(ca), "namespace": _encoded(meta.namespace(secret))}
    change: Obj = {"data": {key: value for key, value in wanted.items() if value and found.get(key) != value}}
    if not stated:
        change["metadata"] = {"annotations": {UID: meta.uid(account)}}
    if not found.get(KEY):
        return Plan((Vouch(secret, meta.name(account), KEY, change),))
    if change == {"data": {}}:
        return Plan(again_after=AGAIN_SECONDS)
    return Plan((patch(SECRETS, secret, change),), AGAIN_SECONDS)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _account_keys(secret: Obj) -> Iterable[str]:
    return (f"{meta.namespace(secret)}/{meta.annotations(secret).get(NAME, '')}",)
