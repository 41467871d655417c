"""Bootstrap tokens that have ended go (`pkg/controller/bootstrap/tokencleaner.go`)."""

from __future__ import annotations

from datetime import datetime

from mini8s.controllers.actions import NOTHING, Plan, delete
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import bootstrap_tokens, meta
from mini8s.objects.kinds import SECRETS, Obj

_OURS = f"type={bootstrap_tokens.TYPE}"


class TokenCleaner:
    name = "token-cleaner"

    def __init__(self, context: Context) -> None:
        self._secrets = context.cache(SECRETS, fields=_OURS)
        self._clock = context.clock
        self.sources = (Source(SECRETS, by_object(own_key), fields=_OURS),)

    def plan(self, key: str) -> Plan:
        secret = self._secrets.get(*meta.split_key(key))
        return plan(secret, self._clock.now()) if secret else NOTHING


def plan(secret: Obj, now: datetime) -> Plan:
    end = bootstrap_tokens.expires(secret)
    if end is None or meta.namespace(secret) != bootstrap_tokens.NAMESPACE or meta.deleting(secret):
        return NOTHING
    if end > now:
        return Plan(again_after=(end - now).total_seconds())
    return Plan((delete(SECRETS, secret),), said="it has ended")
